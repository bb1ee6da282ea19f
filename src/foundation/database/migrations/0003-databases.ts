import type { Migration } from './migrations.ts'

/** Databases as resources, and sessions with them. `tables.ts` says what the columns mean. */
export const databases: Migration = {
  name: '0003-databases',
  statements: ({ int, strict }) => [
    `create table databases (
      id text primary key, event_id text not null, name text not null, protocol text not null, address text not null,
      labels_json text not null, tls_mode text not null, tls_authorities text, tls_server_name text,
      auth_kind text not null, password_users_json text not null, passwords_sealed text,
      created_at ${int} not null, deleted_at ${int}) ${strict}`,
    `create unique index databases_name on databases (name) where deleted_at is null`,
    `alter table login_sessions add column x509_fingerprint text`,
    `alter table sessions add column db_name text`,
  ],
}
