import type { AccessRequests } from '../access/access-requests.ts'
import type { AccessCheck } from '../contract/access-check.ts'
import type { NamedResource } from '../contract/request.ts'
import { decideAccess, type AccessDecision } from '../connection/decide-access.ts'
import type { Opened } from '../connection/target.ts'
import { normaliseName } from '../formats/name.ts'
import type { Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import { callerOf, type CallContext, type Handlers } from './handler.ts'

export interface CheckAccessServices {
  readonly snapshot: Snapshot
  readonly requests: Pick<AccessRequests, 'pendingFor'>
  readonly clock: Clock
}

/** `sally ssh` asks before it connects: the rule of authorize() for this very login session, and what could be asked for. */
export function checkAccessHandlers({ snapshot, requests, clock }: CheckAccessServices): Handlers {
  return {
    async checkAccess(context, { params, query }) {
      const node = normaliseName(params['name'] ?? '')
      if (!node.ok) throw new Refused('malformed', `that is no name of a node: ${node.message}`)
      const question = {
        userId: context.login?.userId ?? '',
        loginSessionId: context.login?.id ?? '',
        keyFingerprint: snapshot.login(context.login?.id ?? '')?.key_fingerprint ?? '',
        protocol: 'ssh' as const,
        node: node.name,
        login: query.login ?? null,
        live: null,
      }
      const decision = decideAccess(snapshot, question, clock.now())
      return answerOf(context, { requests }, decision, {
        place: { kind: 'node', name: node.name },
        account: question.login,
      })
    },
  }
}

/** The decision as its asker may see it, with a pending request of theirs that would turn a no into a yes. */
export async function answerOf(
  context: CallContext,
  { requests }: Pick<CheckAccessServices, 'requests'>,
  decision: AccessDecision,
  wanted: { readonly place: NamedResource; readonly account: string | null },
): Promise<AccessCheck> {
  if (decision.ok) return { ok: true, login: accountOf(decision.opened), endsAt: decision.endsAt }
  const { code, lines, ways } = decision
  const pending = ways.length === 0 ? null : await requests.pendingFor(callerOf(context), { ...wanted, ways })
  return { ok: false, code, lines: [...lines], ways: [...ways], pending }
}

const accountOf = (opened: Opened): string => (opened.protocol === 'ssh' ? opened.login : opened.dbUser)
