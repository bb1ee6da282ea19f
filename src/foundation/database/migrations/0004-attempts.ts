import type { Migration } from './migrations.ts'

/** Failed tries that daemons on one store share and that a restart does not forget. */
export const attempts: Migration = {
  name: '0004-attempts',
  statements: ({ int, strict }) => [
    `create table attempts (id text primary key, key_hash text not null, at ${int} not null) ${strict}`,
    `create index attempts_of_key on attempts (key_hash)`,
    `create index attempts_by_time on attempts (at)`,
  ],
}
