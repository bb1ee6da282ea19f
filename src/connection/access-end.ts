import type { LoginSessionsTable } from '../foundation/database/tables.ts'
import { lengthOf } from '../grants/grant-clock.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'

/** When access that holds now ends by itself, and what is said of it. */
export interface AccessEnd {
  readonly endsAt: number
  readonly endText: string
  /** What ends then, and what one can do about it: for the notices before it */
  readonly endWhat: string
  readonly endHint: string | null
  /** When something this depends on ends by itself */
  readonly recheckAt: number
}

export interface AccessBasis {
  readonly login: LoginSessionsTable
  /** Start of the session; now for a new connection */
  readonly startedAt: number
  readonly sessionTtlMs: number | null
  readonly grants: readonly StoredGrant[]
  /** For each part of the access that grants alone give: the grant that carries it longest, with its name for people */
  readonly carriers: readonly { readonly grant: StoredGrant; readonly name: string }[]
}

/** The earliest of: end of the login session, longest duration of a session, end of the last grant that gives a part of it. */
export function accessEnd({ login, startedAt, sessionTtlMs, grants, carriers }: AccessBasis): AccessEnd {
  const ends = [loginEnd(login)]
  if (sessionTtlMs !== null) ends.push(sessionEnd(startedAt + sessionTtlMs))
  for (const { grant, name } of carriers) ends.push(grantEnd(grant, name))
  const first = ends.reduce((a, b) => (b.endsAt < a.endsAt ? b : a))
  return { ...first, recheckAt: Math.min(first.endsAt, ...grants.map((grant) => grant.ends_at)) }
}

type End = Omit<AccessEnd, 'recheckAt'>

function loginEnd({ expires_at: endsAt }: LoginSessionsTable): End {
  const endWhat = 'your login session'
  return { endsAt, endText: `${endWhat} has expired; run: sally login`, endWhat, endHint: 'Go on with: sally login' }
}

function sessionEnd(endsAt: number): End {
  return { endsAt, endText: 'this session has reached its longest duration', endWhat: 'this session', endHint: null }
}

function grantEnd(grant: StoredGrant, name: string): End {
  const endWhat = `your access (${name})`
  const more = `More time: sally request extend ${grant.request_id} --duration=30m --reason="..."`
  const endHint = grant.kind === 'break_glass' ? null : more
  return { endsAt: grant.ends_at, endText: `${endWhat} has expired`, endWhat, endHint }
}

/** A grant that waits for its first use, with the clock that this use gives it. */
export function asUsed(grant: StoredGrant, starts: StoredGrant | null, now: number): StoredGrant {
  return grant.id === starts?.id ? { ...grant, starts_at: now, ends_at: now + lengthOf(grant) } : grant
}
