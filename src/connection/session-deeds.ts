import type { Deed, NewEvent } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import type { AuthorizationFacts } from './authorization.ts'
import type { SessionRecordEvent } from './control-plane.ts'
import type { LiveSession } from './live-sessions.ts'

// What an open session does, as events.

/** Who, through what, at what: the same in every event of a session. */
export function aboutSession(facts: AuthorizationFacts) {
  const actor: Actor = { kind: 'user', id: facts.user.id, name: facts.user.name }
  return {
    actor,
    login: facts.loginSessionId,
    request: facts.requests[0] ?? null,
    grants: facts.grants,
    session: facts.sessionId,
    resource: resourceOf(facts),
  }
}

export function resourceOf(facts: AuthorizationFacts): { kind: 'node' | 'database'; id: string; name: string } {
  if (facts.protocol === 'ssh') return { kind: 'node', id: facts.node.id, name: facts.node.name }
  return { kind: 'database', id: facts.database.id, name: facts.database.name }
}

/** With the grants that carry it now, which are others than at its start after one of them has ended. */
export const aboutLive = (session: LiveSession) => ({ ...aboutSession(session.facts), grants: session.grants })

export function useDeed(session: LiveSession, { type, ...details }: SessionRecordEvent, allowed: boolean): Deed<null> {
  const outcome = allowed ? 'success' : 'refused'
  return { result: null, events: [{ type: eventType(type), ...aboutLive(session), outcome, details }] }
}

const eventType = (type: SessionRecordEvent['type']): NewEvent['type'] => (type === 'shell' ? 'exec' : type)

/** Marks what the session uses from now on; false when it may not. */
export function markUse(session: LiveSession, event: SessionRecordEvent): boolean {
  if (event.type === 'port_forward') {
    if (!event.allowed || !session.portForwarding) return false
    session.used.portForwarding = true
  }
  if (event.type === 'agent_forward') {
    if (!event.allowed || !session.agentForwarding) return false
    session.used.agentForwarding = true
  }
  return true
}

export function reauthorizedDeed(session: LiveSession): Deed<null> {
  const event: NewEvent = {
    type: 'session.reauthorized',
    ...aboutLive(session),
    actor: { kind: 'system', id: null, name: 'live sessions' },
    outcome: 'success',
    details: { endsAt: session.endsAt },
  }
  return { result: null, events: [event] }
}
