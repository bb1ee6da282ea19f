import type { NewEvent, Tx } from '../../audit/deed.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import type { RequestCase } from '../request-case.ts'
import type { Vote } from '../stored-request.ts'
import type { Automation } from './automation.ts'
import { automationFacts } from './automation-facts.ts'
import { castAutomaticVotes, failureEvents } from './cast-automatic-votes.ts'
import { judge, type Answers } from './judge.ts'
import { onCallBasis } from './on-call.ts'
import { rulingOf } from './ruling.ts'

/**
 * Asks rules and policies about a pending request at a vote: stores what they say and brings their own votes to it. The
 * request's row is written, so the deed must name it. Throws PoliciesUnasked.
 */
export async function judgeAgain(
  tx: Tx,
  loaded: RequestCase,
  answers: Answers | null,
  now: number,
): Promise<{ automation: Automation; votes: readonly Vote[]; events: NewEvent[] }> {
  const { request, requesterName, directory, facts } = loaded
  const seen = automationFacts(request, requesterName, directory.members.get(request.user_id), now)
  const onCall = await onCallBasis(tx, directory, facts, request.user_id)
  const automation = judge(directory, facts, seen, answers, onCall)
  if (automation.judged.length === 0 && (request.automation?.judged ?? []).length === 0)
    return { automation, votes: loaded.votes, events: [] }
  await tx
    .updateTable('access_requests')
    .set({ automation_json: canonicalJson(automation) })
    .where('id', '=', request.id)
    .execute()
  const cast = await castAutomaticVotes(tx, loaded, rulingOf(automation, facts), now)
  return { automation, votes: cast.votes, events: [...cast.events, ...failureEvents(automation, request.id)] }
}
