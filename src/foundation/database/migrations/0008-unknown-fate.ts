import type { Migration } from './migrations.ts'

/** Since when nobody knows whether a vendor has taken a message; what is claimed of one integration, oldest first; visits of pages. */
export const unknownFate: Migration = {
  name: '0008-unknown-fate',
  statements: ({ int, strict }) => [
    `alter table chat_link_offers add column for_user text`,
    `alter table messages add column unknown_since ${int}`,
    `create index messages_due_of on messages (integration_id, due_at) where state = 'due'`,
    // What the page of a request showed to whoever signed in there, for one deed on it.
    `create table page_visits (
      token_hash text primary key, user_id text not null, request_id text not null, shown_json text not null,
      proof_sealed text not null, has_factor ${int} not null, proven_at ${int} not null, expires_at ${int} not null,
      used_at ${int}) ${strict}`,
    `create index page_visits_expiry on page_visits (expires_at)`,
    `create index page_visits_user on page_visits (user_id)`,
  ],
}
