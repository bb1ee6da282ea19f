import type { Migration } from './migrations.ts'

/** The first schema. `tables.ts` says what the columns mean. */
export const first: Migration = {
  name: '0001-first',
  statements: ({ int, strict }) => [
    `create table installation (id text primary key, name text not null, created_at ${int} not null) ${strict}`,
    `create table users (
      id text primary key, event_id text not null, name text not null, email text, role_ids_json text not null,
      traits_json text not null, password_hash text, disabled ${int} not null check (disabled in (0, 1)),
      deleted_at ${int}, created_at ${int} not null, votes_count_from ${int}) ${strict}`,
    `create unique index users_name on users (name) where deleted_at is null`,
    `create table factors (
      id text primary key, event_id text not null, user_id ${references('users')}, kind text not null, name text not null,
      secret_sealed text not null, confirmed_at ${int}, created_at ${int} not null) ${strict}`,
    `create index factors_user on factors (user_id)`,
    `create table factor_uses (factor_id text primary key, last_step ${int} not null) ${strict}`,
    `create table invitations (
      id text primary key, event_id text not null, user_id ${references('users')}, code_hash text not null unique,
      expires_at ${int} not null, used_at ${int}) ${strict}`,
    `create table login_sessions (
      id text primary key, event_id text not null, user_id ${references('users')}, token_hash text not null unique,
      device text not null, factors_json text not null, second_factor_at ${int}, key_fingerprint text not null,
      address text not null, created_at ${int} not null, expires_at ${int} not null, ended_at ${int},
      end_reason text) ${strict}`,
    `create index login_sessions_user on login_sessions (user_id, ended_at)`,
    `create index login_sessions_live on login_sessions (expires_at) where ended_at is null`,
    `create table login_seen (login_id text primary key, last_seen_at ${int} not null) ${strict}`,
    `create table step_ups (
      token_hash text primary key, login_id text not null, action text not null, expires_at ${int} not null,
      used_at ${int}) ${strict}`,
    `create index step_ups_expiry on step_ups (expires_at)`,
    `create table roles (
      id text primary key, event_id text not null, name text not null, revision ${int} not null,
      content_hash text not null, deleted_at ${int}) ${strict}`,
    `create unique index roles_name on roles (name) where deleted_at is null`,
    `create table role_revisions (
      id text primary key, event_id text not null, role_id ${references('roles')}, revision ${int} not null,
      spec_json text not null, content_hash text not null, description text, created_at ${int} not null,
      unique (role_id, revision)) ${strict}`,
    `create table nodes (
      id text primary key, event_id text not null, name text not null, address text not null, labels_json text not null,
      host_key text, host_authority text, host_principal text, created_at ${int} not null, deleted_at ${int}) ${strict}`,
    `create unique index nodes_name on nodes (name) where deleted_at is null`,
    `create table locks (
      id text primary key, event_id text not null, target_kind text not null, target_id text not null,
      target_name text not null, message text not null, created_by text not null, created_at ${int} not null,
      expires_at ${int}, removed_at ${int}) ${strict}`,
    `create index locks_target on locks (target_kind, target_id) where removed_at is null`,
    `create table authorities (
      id text primary key, event_id text not null, kind text not null, state text not null, algorithm text not null,
      public_key text not null, certificate text, private_sealed text not null, created_at ${int} not null) ${strict}`,
    `create table access_requests (
      id text primary key, event_id text not null, kind text not null, user_id ${references('users')},
      roles_json text not null, reason text not null, duration_ms ${int} not null, created_at ${int} not null,
      pending_until ${int} not null, state text not null, decided_at ${int}, resolution text, login_id text,
      facts_json text not null, facts_digest text not null, request_digest text not null,
      annotations_json text not null, suggested_json text not null, identity_hash text not null,
      version ${int} not null) ${strict}`,
    `create unique index access_requests_pending on access_requests (identity_hash) where state = 'pending'`,
    `create index access_requests_user on access_requests (user_id, created_at)`,
    `create index access_requests_state on access_requests (state, created_at)`,
    `create index access_requests_created on access_requests (created_at)`,
    `create table reviews (
      id text primary key, event_id text not null, request_id ${references('access_requests')},
      reviewer_id text not null, reviewer_kind text not null, decision text not null, reason text not null,
      roles_json text not null, duration_ms ${int}, request_digest text not null, facts_digest text not null,
      created_at ${int} not null, ordinal ${int} not null, superseded_at ${int},
      unique (request_id, ordinal)) ${strict}`,
    `create unique index reviews_one_vote on reviews (request_id, reviewer_id) where superseded_at is null`,
    `create table grants (
      id text primary key, event_id text not null, request_id ${references('access_requests')}, user_id text not null,
      kind text not null, roles_json text not null, state text not null, starts_at ${int} not null,
      ends_at ${int} not null, ended_at ${int}, end_reason text, ended_by text, end_comment text, suspended text,
      login_id text,
      unique (request_id)) ${strict}`,
    `create index grants_user on grants (user_id, state)`,
    `create index grants_live on grants (ends_at) where state <> 'ended'`,
    `create table sessions (
      id text primary key, event_id text not null, user_id text not null, login_id text not null, protocol text not null,
      node_id text not null, node_name text not null, login text not null, address text not null,
      request_ids_json text not null, grant_ids_json text not null, started_at ${int} not null, ended_at ${int},
      end_reason text, recording_file text not null, recording_key_sealed text not null, recording_key_id text not null,
      recording_mode text not null, recording_state text not null, recording_bytes ${int} not null, recording_head text,
      recording_chunks ${int} not null, contents_json text not null) ${strict}`,
    `create index sessions_started on sessions (started_at)`,
    `create index sessions_user on sessions (user_id, started_at)`,
    `create index sessions_node on sessions (node_id, started_at)`,
    `create index sessions_open on sessions (started_at) where ended_at is null`,
    `create table audit_events (
      seq ${int} primary key, id text not null unique, time ${int} not null, type text not null, actor_json text not null,
      user_id text, login_id text, request_id text, grant_ids_json text not null, session_id text, resource_json text,
      resource_key text, outcome text not null, rows_json text not null, salt text not null, details_json text,
      details_hash text not null, leaf text not null, hash text not null) ${strict}`,
    `create index audit_events_time on audit_events (time)`,
    `create index audit_events_type on audit_events (type, seq)`,
    `create index audit_events_user on audit_events (user_id, seq)`,
    `create index audit_events_request on audit_events (request_id, seq)`,
    `create index audit_events_session on audit_events (session_id, seq)`,
    `create index audit_events_resource on audit_events (resource_key, seq)`,
    `create table chain_head (
      id ${int} primary key check (id = 1), seq ${int} not null, hash text not null, time ${int} not null) ${strict}`,
    `create table change_log (
      seq ${int} not null, position ${int} not null, table_name text not null, row_id text not null,
      primary key (seq, position)) ${strict}`,
    `create index change_log_row on change_log (table_name, row_id, seq)`,
    `create table checkpoints (
      ordinal ${int} primary key, size ${int} not null, note text not null, created_at ${int} not null) ${strict}`,
    `create table outbox (
      id text primary key, position ${int} not null unique, topic text not null, body_json text not null,
      created_at ${int} not null, delivered_at ${int}) ${strict}`,
    `create index outbox_waiting on outbox (position) where delivered_at is null`,
  ],
}

// Deferred: a deed may write its rows in any order, all of them are there when it commits.
function references(table: string): string {
  return `text not null references ${table} (id) deferrable initially deferred`
}
