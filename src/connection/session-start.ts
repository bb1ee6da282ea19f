import { randomBytes } from 'node:crypto'
import type { Deed, NewEvent, Tx } from '../audit/deed.ts'
import { newId } from '../foundation/ids.ts'
import type { Sealer } from '../identity/sealing.ts'
import { recordingFile, recordingPath } from '../recording/recordings-folder.ts'
import type { AuthorizationFacts } from './authorization.ts'
import type { AuthorizeInput } from './control-plane.ts'
import type { AccessDecision } from './decide-access.ts'
import { aboutSession } from './session-deeds.ts'

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
  const { user, node, options, grants } = decision
  const sessionId = newId('session', now)
  const [host, port] = splitAddress(node.address)
  return {
    id: newId('authorization', now),
    sessionId,
    user: { id: user.id, name: user.name },
    loginSessionId: input.loginSessionId,
    node: {
      id: node.id,
      name: node.name,
      host,
      port,
      hostKey: node.host_key,
      hostAuthority: node.host_authority,
      hostPrincipal: node.host_principal,
    },
    login: decision.login,
    grants: grants.map((grant) => grant.id),
    requests: grants.map((grant) => grant.request_id),
    permissions: {
      pty: true,
      portForwarding: options.portForwarding,
      agentForwarding: options.agentForwarding,
      forceCommand: null,
    },
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

function splitAddress(address: string): [string, number] {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  return [host.startsWith('[') ? host.slice(1, -1) : host, Number(address.slice(at + 1))]
}

/** Stores the row of the session; the answer is `session.start`, which names its recording. */
export async function startSession(
  tx: Tx,
  input: AuthorizeInput,
  facts: AuthorizationFacts,
  roles: Allowed['roles'],
  keeper: { readonly sealer: Sealer; readonly instanceId: string | null },
  now: number,
): Promise<NewEvent> {
  const { sessionId, recording } = facts
  const file = recordingFile(sessionId)
  const sealedAt = { table: 'sessions', row: sessionId, column: 'recording_key_sealed' }
  await tx
    .insertInto('sessions')
    .values({
      id: sessionId,
      event_id: '',
      user_id: facts.user.id,
      login_id: facts.loginSessionId,
      protocol: input.protocol,
      node_id: facts.node.id,
      node_name: facts.node.name,
      login: facts.login,
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
    })
    .execute()
  return {
    type: 'session.start',
    ...aboutSession(facts),
    outcome: 'success',
    details: {
      login: facts.login,
      address: input.address,
      certificate: input.certificateSerial,
      roles: roles.map((role) => role.name),
      recording: file,
      mode: recording.mode,
      position: facts.position,
      endsAt: facts.endsAt,
    },
    rows: [{ table: 'sessions', id: sessionId }],
  }
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
    details: { code, node: input.node, login: input.login, address: input.address, ...more },
  }
  return { result: { ok: false, code, lines }, events: [event] }
}
