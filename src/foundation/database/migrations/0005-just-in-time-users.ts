import type { Migration } from './migrations.ts'

/** Users of databases that are made when somebody connects. `tables.ts` says what the columns mean. */
export const justInTimeUsers: Migration = {
  name: '0005-just-in-time-users',
  statements: ({ int, strict }) => [
    `create table just_in_time_users (
      id text primary key, event_id text not null, database_id text not null, database_name text not null,
      user_id text not null, user_name text not null, name text not null, db_roles_json text not null, state text not null,
      on_end text not null, server_json text not null, valid_until ${int} not null, password_sealed text,
      trouble text, trouble_at ${int}, created_at ${int} not null, changed_at ${int} not null) ${strict}`,
    `create unique index just_in_time_users_name on just_in_time_users (database_id, name)`,
    `create index just_in_time_users_open on just_in_time_users (state) where state = 'open'`,
    `alter table databases add column just_in_time_json text`,
    `alter table sessions add column just_in_time_id text`,
    `create index sessions_of_just_in_time_user on sessions (just_in_time_id) where just_in_time_id is not null`,
  ],
}
