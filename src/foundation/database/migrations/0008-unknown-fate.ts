import type { Migration } from './migrations.ts'

/** Since when nobody knows whether a vendor has taken a message, and what is claimed of one integration, oldest first. */
export const unknownFate: Migration = {
  name: '0008-unknown-fate',
  statements: ({ int }) => [
    `alter table chat_link_offers add column for_user text`,
    `alter table messages add column unknown_since ${int}`,
    `create index messages_due_of on messages (integration_id, due_at) where state = 'due'`,
  ],
}
