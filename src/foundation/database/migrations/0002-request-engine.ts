import type { Migration } from './migrations.ts'

/** Resource requests, other starts than approval, extensions, votes of rules and delegates. `tables.ts` says what the columns mean. */
export const requestEngine: Migration = {
  name: '0002-request-engine',
  statements: ({ int }) => [
    `alter table access_requests add column resources_json text`,
    `alter table access_requests add column narrowing_json text`,
    `alter table access_requests add column start_json text`,
    `alter table access_requests add column extends_grant text`,
    `alter table reviews add column start_at ${int}`,
    `alter table reviews add column on_behalf_of text`,
    `alter table grants add column resources_json text`,
    `alter table grants add column narrowing_json text`,
    `alter table grants add column use_by ${int}`,
    `alter table grants add column use_length_ms ${int}`,
  ],
}
