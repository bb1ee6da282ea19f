import type { Migration } from './migrations.ts'

/** Resource requests, other starts than approval, extensions, votes of rules and delegates. `tables.ts` says what the columns mean. */
export const requestEngine: Migration = {
  name: '0002-request-engine',
  statements: ({ int, strict }) => [
    `alter table access_requests add column resources_json text`,
    `alter table access_requests add column narrowing_json text`,
    `alter table access_requests add column start_json text`,
    `alter table access_requests add column extends_grant text`,
    `alter table access_requests add column settled_at ${int}`,
    `create unique index access_requests_one_break_glass on access_requests (user_id)
      where kind = 'break_glass' and settled_at is null`,
    `alter table reviews add column start_at ${int}`,
    `alter table reviews add column on_behalf_of text`,
    `alter table grants add column resources_json text`,
    `alter table grants add column narrowing_json text`,
    `alter table grants add column use_by ${int}`,
    `alter table grants add column use_length_ms ${int}`,
    `create table delegations (
      id text primary key, event_id text not null, absent_id text not null, delegate_id text not null,
      role_ids_json text, reason text not null, created_at ${int} not null, ends_at ${int} not null,
      removed_at ${int}, removed_by text, removed_why text) ${strict}`,
    `create index delegations_in_force on delegations (ends_at) where removed_at is null`,
    `create table acknowledgements (
      id text primary key, event_id text not null, request_id text not null, user_id text not null,
      comment text not null, created_at ${int} not null, unique (request_id, user_id)) ${strict}`,
    `create table escalations (
      id text primary key, request_id text not null, step ${int} not null, after_ms ${int} not null,
      due_at ${int} not null, notify_json text not null, told_at ${int}, told_json text,
      unique (request_id, step)) ${strict}`,
    `create index escalations_due on escalations (due_at) where told_at is null`,
    `alter table grants add column approved_at ${int}`,
    `alter table grants add column moved_at ${int}`,
    `alter table users add column disabled_at ${int}`,
    `create unique index access_requests_extension on access_requests (extends_grant)
      where state = 'pending' and extends_grant is not null`,
    `create table grant_notices (
      id text primary key, grant_id text not null, ends_at ${int} not null, minutes ${int} not null,
      created_at ${int} not null) ${strict}`,
    `create index grant_notices_grant on grant_notices (grant_id)`,
    `create table review_rules (
      id text primary key, event_id text not null, name text not null, spec_json text not null,
      content_hash text not null, description text, created_at ${int} not null, deleted_at ${int}) ${strict}`,
    `create unique index review_rules_name on review_rules (name) where deleted_at is null`,
    `create table policies (
      id text primary key, event_id text not null, file text not null, modules_json text not null,
      content_hash text not null, approve_only ${int} not null check (approve_only in (0, 1)), zone text not null,
      loaded_at ${int} not null, removed_at ${int}) ${strict}`,
    `create unique index policies_file on policies (file) where removed_at is null`,
    `alter table access_requests add column automation_json text`,
    `alter table sessions add column instance_id text`,
    `create table instances (
      id text primary key, name text not null, started_at ${int} not null, seen_at ${int} not null,
      dead_after_ms ${int} not null) ${strict}`,
    `alter table outbox add column claimed_until ${int}`,
    `create table request_terms (
      kind text not null, name text not null, created_at ${int} not null, request_id text not null,
      primary key (kind, name, created_at, request_id)) ${strict}`,
    `create table request_texts (
      request_id text primary key, created_at ${int} not null, words text not null) ${strict}`,
    `drop index access_requests_user`,
    `drop index access_requests_state`,
    `drop index access_requests_created`,
    `create index access_requests_by_user on access_requests (user_id, created_at, id)`,
    `create index access_requests_by_state on access_requests (state, created_at, id)`,
    `create index access_requests_by_time on access_requests (created_at, id)`,
    // Most events are of no session and of no resource, and each deed writes several.
    `drop index audit_events_session`,
    `drop index audit_events_resource`,
    `create index audit_events_session on audit_events (session_id, seq) where session_id is not null`,
    `create index audit_events_resource on audit_events (resource_key, seq) where resource_key is not null`,
    `create index grants_live_of on grants (user_id, ends_at) where state <> 'ended'`,
    `create index access_requests_due on access_requests (pending_until) where state = 'pending'`,
  ],
}
