import type { Confirmation } from '../../audit/confirmation.ts'
import type { AccessRequest } from '../../contract/request.ts'
import type { ChatConfirmationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Limiter } from '../../identity/attempt-limiter.ts'
import { settleFailure, type StepUpParts } from '../../identity/step-up.ts'
import { hasConfirmedFactor, useCode } from '../../identity/totp.ts'
import type { AccessRequests } from '../access-requests.ts'
import type { Caller } from '../caller.ts'
import { checkBallot } from '../decide/cast-vote.ts'
import { orNothing } from '../nothing-to-do.ts'
import { loadCase } from '../request-case.ts'
import { gainsInWords } from '../show/preview/gains-in-words.ts'
import { findConfirmation, useConfirmation } from './confirmations.ts'
import { ballotOf, readReason, readShorter } from './review-in-chat.ts'
import { readShown, type Shown } from './shown-terms.ts'

export interface ConfirmParts extends StepUpParts {
  readonly limiter: Limiter
  readonly requests: AccessRequests
}

/** What the page shows: the decision, whose it is, and the request as that person may see it now. */
export interface ToBeConfirmed {
  readonly row: ChatConfirmationsTable
  readonly user: { readonly id: string; readonly name: string }
  readonly shown: Shown
  readonly request: AccessRequest
  /** What an approval would give, in words; empty once it is decided */
  readonly gives: readonly string[]
  /** Why it cannot be decided this way any more; null: it can */
  readonly trouble: string | null
}

/** Changes nothing, however often it is asked. Errors: Refused('not_found'). */
export async function lookAtConfirmation(parts: ConfirmParts, token: string): Promise<ToBeConfirmed> {
  const { database, clock, requests } = parts
  const now = clock.now()
  const row = await findConfirmation(database.reads, token, now)
  const user = await userOf(parts, row)
  const caller = await callerFor(parts, row, user)
  const shown = readShown(row.shown_json)
  const request = await requests.show(caller, row.request_id)
  const isOpen = request.state === 'pending' && request.kind !== 'break_glass'
  const gives = isOpen ? gainsInWords((await requests.preview(caller, row.request_id)).change) : []
  return { row, user, shown, request, gives, trouble: await troubleOf(parts, caller, row, shown) }
}

/**
 * Casts the vote with a code of the person's second factor, which is used up with it. Errors: Refused as of a vote, and
 * bad_credentials, code_already_used, too_many_attempts, second_factor_setup_required.
 */
export async function confirmReview(
  parts: ConfirmParts,
  token: string,
  typed: { readonly code: string; readonly reason: string; readonly duration: string },
  address: string,
): Promise<AccessRequest> {
  const { row, user, shown } = await lookAtConfirmation(parts, token)
  if (!(await hasConfirmedFactor(parts.database.reads, user.id)))
    throw new Refused('second_factor_setup_required', 'you have no second factor yet', 'run: sally mfa add')
  const wish = { requestId: row.request_id, decision: row.decision, shown }
  const ballot = ballotOf(wish, { reason: readReason(typed.reason), durationMs: readShorter(wish, typed.duration) })
  const attempt = await parts.limiter.begin(`codes of ${user.id}`, address)
  try {
    const caller = await callerFor(parts, row, user)
    const confirmation = byCode(parts, row, user.id, typed.code)
    const request = await parts.requests.review(caller, row.request_id, ballot, () => Promise.resolve(confirmation))
    await attempt.succeed()
    return request
  } catch (error) {
    await settleFailure(parts, attempt, error, { address, userName: user.name })
    throw error
  }
}

function byCode(parts: ConfirmParts, row: ChatConfirmationsTable, userId: string, code: string): Confirmation {
  return {
    checkedAt: parts.clock.now(),
    async spend(tx, now) {
      await useConfirmation(tx, row, now)
      await refuseParted(tx, row)
      await useCode(tx, parts.sealer, { userId }, code, now)
    },
  }
}

/** The link may have ended since the button was pressed. */
async function refuseParted(reader: ConfirmParts['database']['reads'], row: ChatConfirmationsTable): Promise<void> {
  const standing = await reader
    .selectFrom('chat_accounts')
    .innerJoin('integrations', 'integrations.id', 'chat_accounts.integration_id')
    .select('chat_accounts.id')
    .where('chat_accounts.id', '=', row.account_id)
    .where('chat_accounts.user_id', '=', row.user_id)
    .where('chat_accounts.ended_at', 'is', null)
    .where('integrations.enabled', '=', 1)
    .where('integrations.deleted_at', 'is', null)
    .executeTakeFirst()
  if (!standing) throw new Refused('not_found', 'this page is of no use any more', 'press the button in chat again')
}

async function userOf({ database }: ConfirmParts, row: ChatConfirmationsTable): Promise<{ id: string; name: string }> {
  const user = await database.reads
    .selectFrom('users')
    .select(['id', 'name', 'disabled'])
    .where('id', '=', row.user_id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!user || user.disabled === 1)
    throw new Refused('not_found', 'this page is of no use any more', 'press the button in chat again')
  await refuseParted(database.reads, row)
  return user
}

async function callerFor(
  { database }: ConfirmParts,
  row: ChatConfirmationsTable,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<Caller> {
  const integration = await database.reads
    .selectFrom('integrations')
    .select('vendor')
    .where('id', '=', row.integration_id)
    .executeTakeFirstOrThrow()
  return {
    actor: { kind: 'user', id, name },
    userId: id,
    loginId: null,
    local: false,
    via: integration.vendor,
    secondFactor: true,
  }
}

async function troubleOf(
  { database, clock }: ConfirmParts,
  caller: Caller,
  row: ChatConfirmationsTable,
  shown: Shown,
): Promise<string | null> {
  const now = clock.now()
  const loaded = await loadCase(database.reads, row.request_id, now)
  if (!loaded) return 'there is no such request'
  const wish = { requestId: row.request_id, decision: row.decision, shown }
  const ballot = ballotOf(wish, { reason: row.reason ?? '', durationMs: row.duration_ms })
  try {
    await orNothing((async () => void checkBallot(loaded, caller, ballot, now))())
    return null
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}
