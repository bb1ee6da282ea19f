import type { Snapshot } from '../grants/snapshot.ts'

/** Whether a login session may still be answered: for answers that take a while. From memory, so it costs nothing to ask often. */
export function isSignedIn(
  snapshot: Pick<Snapshot, 'login' | 'user' | 'lockOn'>,
  loginId: string,
  now: number,
): boolean {
  const login = snapshot.login(loginId)
  const user = login && snapshot.user(login.user_id)
  if (!login || !user || user.disabled) return false
  if (login.ended_at !== null || login.expires_at <= now) return false
  return !snapshot.lockOn('login', login.id, now) && !snapshot.lockOn('user', user.id, now)
}
