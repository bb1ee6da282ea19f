import type { Migration } from './migrations.ts'

/** Chat and ticket products: what is configured, who is who there, what was sent and what came in. `tables.ts` says what the columns mean. */
export const integrations: Migration = {
  name: '0007-integrations',
  statements: ({ int, strict }) => [
    `create table integrations (
      id text primary key, event_id text not null, name text not null, vendor text not null, enabled ${int} not null,
      settings_json text not null, secret_names_json text not null, secrets_sealed text, broken_why text,
      created_at ${int} not null, changed_at ${int} not null, deleted_at ${int}) ${strict}`,
    `create unique index integrations_name on integrations (name) where deleted_at is null`,
    `create table chat_accounts (
      id text primary key, event_id text not null, integration_id text not null, vendor text not null,
      tenant text not null, external_id text not null, external_name text not null, user_id text not null,
      linked_at ${int} not null, linked_by text not null, ended_at ${int}, ended_why text, ended_by text) ${strict}`,
    `create unique index chat_accounts_external on chat_accounts (integration_id, tenant, external_id) where ended_at is null`,
    `create index chat_accounts_user on chat_accounts (user_id) where ended_at is null`,
    `create table chat_link_offers (
      code_hash text primary key, integration_id text not null, tenant text not null, external_id text not null,
      external_name text not null, created_at ${int} not null, expires_at ${int} not null, used_at ${int}) ${strict}`,
    `create index chat_link_offers_account on chat_link_offers (integration_id, tenant, external_id)`,
    `create index chat_link_offers_expiry on chat_link_offers (expires_at)`,
    `create table chat_forms (
      nonce_hash text primary key, integration_id text not null, account_id text not null, user_id text not null,
      kind text not null, request_id text, button_hash text, decision text, shown_json text,
      created_at ${int} not null, expires_at ${int} not null, used_at ${int}) ${strict}`,
    `create index chat_forms_expiry on chat_forms (expires_at)`,
    `create table chat_confirmations (
      token_hash text primary key, integration_id text not null, account_id text not null, user_id text not null,
      request_id text not null, decision text not null, shown_json text not null, reason text, duration_ms ${int},
      created_at ${int} not null, expires_at ${int} not null, used_at ${int}) ${strict}`,
    `create index chat_confirmations_expiry on chat_confirmations (expires_at)`,
    `create table inbox (
      integration_id text not null, event_key text not null, received_at ${int} not null, outcome text not null,
      primary key (integration_id, event_key)) ${strict}`,
    `create index inbox_age on inbox (received_at)`,
    `create table messages (
      id text primary key, integration_id text not null, kind text not null, request_id text, audience text not null,
      destination text not null, channel text, user_id text, account text, notice_json text, thread_of text,
      once_id text not null, external text, desired_version ${int} not null, rendered_version ${int} not null,
      state text not null, attempts ${int} not null, due_at ${int} not null, lease_until ${int}, leased_by text,
      failure_kind text, failure text, failed_at ${int}, created_at ${int} not null, changed_at ${int} not null,
      expires_at ${int}, after_ms ${int}, content_hash text) ${strict}`,
    `create unique index messages_of_request on messages (request_id, integration_id, audience, destination)
      where kind = 'request'`,
    `create index messages_due on messages (due_at) where state = 'due'`,
    `create index messages_of_integration on messages (integration_id, state)`,
    `create index messages_thread on messages (thread_of) where thread_of is not null`,
    `create index messages_external on messages (integration_id, external) where external is not null`,
    `create table message_buttons (
      button_hash text primary key, message_id text not null, integration_id text not null, request_id text not null,
      version ${int} not null, buttons_json text not null, request_digest text not null, facts_digest text not null,
      shown_json text not null, pressed_external text, created_at ${int} not null) ${strict}`,
    `create index message_buttons_message on message_buttons (message_id)`,
    `create index message_buttons_pressed on message_buttons (message_id) where pressed_external is not null`,
    `create table integration_paces (
      integration_id text primary key, not_before ${int} not null, why text, delivered_at ${int}) ${strict}`,
    `alter table outbox add column routed_at ${int}`,
    `create index outbox_to_route on outbox (position) where routed_at is null`,
    `create table service_tokens (
      id text primary key, event_id text not null, user_id text not null, token_hash text not null unique,
      scopes_json text not null, note text not null, created_at ${int} not null, created_by text not null,
      expires_at ${int} not null, removed_at ${int}) ${strict}`,
    `create index service_tokens_user on service_tokens (user_id) where removed_at is null`,
    `create table service_token_seen (token_id text primary key, last_seen_at ${int} not null) ${strict}`,
    `create table request_notes (
      id text primary key, request_id text not null, user_id text not null, key text not null, body text not null,
      at ${int} not null, unique (request_id, user_id, key)) ${strict}`,
    // A service account is a user that a person answers for.
    `alter table users add column service_owner_id text`,
  ],
}
