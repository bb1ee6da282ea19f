import type { Migration } from './migrations.ts'

/** What waits of one user, who may have asked for a lot in the past, and what has waited for long enough. */
export const pendingOf: Migration = {
  name: '0006-pending-of',
  statements: () => [
    `create index access_requests_pending_of on access_requests (user_id, created_at) where state = 'pending'`,
    // Of a state SQLite rather takes the index of all states.
    `drop index access_requests_due`,
    `create index access_requests_due on access_requests (pending_until) where decided_at is null`,
  ],
}
