import { createHash, randomBytes } from 'node:crypto'
import type { Deed, NewEvent, Tx } from '../audit/deed.ts'
import { newId } from '../foundation/ids.ts'
import type { Sealer } from '../identity/sealing.ts'
import { recordingFile, recordingPath } from '../recording/recordings-folder.ts'
import { splitAddress } from '../resources/address.ts'
import { serverName } from '../resources/database-facts.ts'
import {
  databaseFacts,
  type AuthorizationFacts,
  type DatabaseFacts,
  type DatabaseSessionOptions,
  type SessionFacts,
  type SshFacts,
} from './authorization.ts'
import type { AuthorizeInput } from './control-plane.ts'
import type { AccessDecision } from './decide-access.ts'
import { aboutSession, resourceOf } from './session-deeds.ts'
import { wantUser, type UserWanted } from './just-in-time/want-user.ts'
import type { Opened } from './target.ts'

// What a yes and a no of authorize() are stored as.

type Allowed = Extract<AccessDecision, { ok: true }>
type Denied = Extract<AccessDecision, { ok: false }>

export interface SessionPlace {
  readonly recordingsDir: string
  readonly offlineGraceMs: number
  /** Change position of the decision */
  readonly position: number
}

/** A session that is about to be, with the one key of its recording. */
export function sessionFacts(
  input: AuthorizeInput,
  decision: Allowed,
  { recordingsDir, offlineGraceMs, position }: SessionPlace,
  now: number,
): AuthorizationFacts {
  const { user, options, grants } = decision
  const sessionId = newId('session', now)
  return {
    id: newId('authorization', now),
    sessionId,
    user: { id: user.id, name: user.name },
    loginSessionId: input.loginSessionId,
    ...openedFacts(decision),
    grants: grants.map((grant) => grant.id),
    requests: grants.map((grant) => grant.request_id),
    endsAt: decision.endsAt,
    endText: decision.endText,
    budgetMs: decision.endsAt === null ? null : Math.max(0, decision.endsAt - now),
    idleMs: options.idleMs,
    offlineGraceMs: Math.min(offlineGraceMs, options.offlineGraceMs ?? offlineGraceMs),
    recording: {
      path: recordingPath(recordingsDir, recordingFile(sessionId)),
      keyId: `key_${randomBytes(8).toString('hex')}`,
      key: randomBytes(32),
      mode: options.recordSession,
      recordInput: options.recordInput,
    },
    position,
  }
}

type OpenedFacts = Omit<SshFacts, keyof SessionFacts> | Omit<DatabaseFacts, keyof SessionFacts>

function openedFacts({ opened, options }: Allowed): OpenedFacts {
  if (opened.protocol !== 'ssh') return openedDatabase(opened, options.database)
  const { protocol, node, login } = opened
  const [host, port] = splitAddress(node.address)
  const { id, name, host_key: hostKey, host_authority: hostAuthority, host_principal: hostPrincipal } = node
  const { portForwarding, agentForwarding } = options
  return {
    ...{ protocol, login, node: { id, name, host, port, hostKey, hostAuthority, hostPrincipal } },
    permissions: { pty: true, portForwarding, agentForwarding, forceCommand: null },
  }
}

function openedDatabase(
  { protocol, database, dbUser, dbName, dbRoles }: Exclude<Opened, { protocol: 'ssh' }>,
  options: DatabaseSessionOptions,
): Omit<DatabaseFacts, keyof SessionFacts> {
  const [host, port] = splitAddress(database.address)
  const { id, name, tls_mode: mode, tls_authorities: authorities, auth_kind: auth } = database
  return {
    ...{ protocol, dbUser, dbName, options },
    ...{ credential: auth === 'certificate' ? auth : 'password', allowsMd5: auth === 'password_md5' },
    database: { id, name, host, port },
    tls: { mode, authorities, serverName: serverName(database) },
    ...(dbRoles === null ? {} : { justInTime: { id: '', dbRoles } }),
  }
}

export interface StartedSession {
  readonly facts: AuthorizationFacts
  /** `session.start`, which names its recording, and what became of a user that is made for it */
  readonly events: readonly [NewEvent, ...NewEvent[]]
}

/** Stores the row of the session, and that of a user of the database that must be made for it. */
export async function startSession(
  tx: Tx,
  input: AuthorizeInput,
  wanted: AuthorizationFacts,
  { opened, roles }: Pick<Allowed, 'opened' | 'roles'>,
  keeper: { readonly sealer: Sealer; readonly instanceId: string | null },
  now: number,
): Promise<StartedSession> {
  const made = await userFor(tx, wanted, opened, keeper.sealer, now)
  const facts = made ? withUser(wanted, made.id) : wanted
  const { sessionId, recording } = facts
  const resource = resourceOf(facts)
  const file = recordingFile(sessionId)
  const sealedAt = { table: 'sessions', row: sessionId, column: 'recording_key_sealed' }
  await tx
    .insertInto('sessions')
    .values({
      id: sessionId,
      event_id: '',
      user_id: facts.user.id,
      login_id: facts.loginSessionId,
      protocol: facts.protocol,
      node_id: resource.id,
      node_name: resource.name,
      login: facts.protocol === 'ssh' ? facts.login : facts.dbUser,
      db_name: facts.protocol === 'ssh' ? null : facts.dbName,
      address: input.address,
      request_ids_json: JSON.stringify(facts.requests),
      grant_ids_json: JSON.stringify(facts.grants),
      started_at: now,
      ended_at: null,
      end_reason: null,
      recording_file: file,
      recording_key_sealed: keeper.sealer.seal(sealedAt, recording.key),
      recording_key_id: recording.keyId,
      recording_mode: recording.mode,
      recording_state: 'open',
      recording_bytes: 0,
      recording_head: null,
      recording_chunks: 0,
      contents_json: '[]',
      instance_id: keeper.instanceId,
      just_in_time_id: made?.id ?? null,
    })
    .execute()
  const row = made?.isWritten ? [{ table: 'just_in_time_users', id: made.id } as const] : []
  const start: NewEvent = {
    type: facts.protocol === 'ssh' ? 'session.start' : 'db.session.start',
    ...aboutSession(facts),
    outcome: 'success',
    details: {
      ...usedBy(input, facts),
      address: input.address,
      roles: roles.map((role) => role.name),
      recording: file,
      mode: recording.mode,
      position: facts.position,
      endsAt: facts.endsAt,
    },
    rows: [{ table: 'sessions', id: sessionId }, ...(made?.event ? [] : row)],
  }
  if (!made?.event) return { facts, events: [start] }
  return { facts, events: [start, { ...made.event, ...aboutSession(facts), outcome: 'success', rows: row }] }
}

async function userFor(
  tx: Tx,
  facts: AuthorizationFacts,
  opened: Opened,
  sealer: Sealer,
  now: number,
): Promise<UserWanted | null> {
  if (opened.protocol === 'ssh' || opened.dbRoles === null) return null
  const { database, dbUser, dbRoles } = opened
  return await wantUser(tx, { database, dbUser, dbRoles, user: facts.user, endsAt: facts.endsAt }, sealer, now)
}

function withUser(facts: AuthorizationFacts, id: string): AuthorizationFacts {
  if (facts.protocol === 'ssh' || !facts.justInTime) return facts
  return { ...facts, justInTime: { ...facts.justInTime, id } }
}

/** As whom, and by which certificate. */
function usedBy(input: AuthorizeInput, facts: AuthorizationFacts): Record<string, unknown> {
  if (input.protocol === 'ssh')
    return { login: facts.protocol === 'ssh' ? facts.login : null, certificate: input.certificateSerial }
  const { dbUser, dbName, options, justInTime } = databaseFacts(facts)
  const certificate = createHash('sha256').update(input.certificate).digest('hex')
  const made = justInTime ? { dbRoles: justInTime.dbRoles } : {}
  return { dbUser, dbName, ...made, certificate, options: { ...options } }
}

/** `altered`: the row that is not what its event says */
export function rejectSession(
  input: AuthorizeInput,
  { code, lines }: Pick<Denied, 'code' | 'lines'>,
  userName: string | undefined,
  more: { readonly altered?: string } = {},
): Deed<{ readonly ok: false; readonly code: string; readonly lines: readonly string[] }> {
  const event: NewEvent = {
    type: 'session.reject',
    actor: { kind: 'user', id: input.userId, name: userName ?? input.userId },
    login: input.loginSessionId,
    outcome: 'refused',
    details: { code, ...wantedBy(input), address: input.address, ...more },
  }
  return { result: { ok: false, code, lines }, events: [event] }
}

function wantedBy(input: AuthorizeInput): Record<string, unknown> {
  if (input.protocol === 'ssh') return { node: input.node, login: input.login }
  const { protocol, database, dbUser, dbName } = input
  return { protocol, database, dbUser, dbName }
}
