import type { Confirmation } from '../audit/confirmation.ts'
import type { Tx } from '../audit/deed.ts'
import { Refused } from '../foundation/errors.ts'
import type { Attempt, Limiter } from './attempt-limiter.ts'
import type { AuthFailures } from '../audit/auth-failures.ts'
import type { Doer, StoreParts } from './doer.ts'
import type { Sealer } from './sealing.ts'
import { newToken, tokenHash } from './tokens.ts'
import { hasConfirmedFactor, useCode } from './totp.ts'

const STEP_UP_MS = 5 * 60_000

export interface StepUpParts extends StoreParts {
  readonly sealer: Sealer
  readonly limiter: Limiter
  readonly failures: Pick<AuthFailures, 'report'>
}

/** A wrong or used code counts and is told; whatever else went wrong was no guess. */
export async function settleFailure(
  parts: StepUpParts,
  attempt: Attempt,
  error: unknown,
  who: { readonly address: string; readonly userName: string },
): Promise<void> {
  const isGuess = error instanceof Refused && (error.code === 'bad_credentials' || error.code === 'code_already_used')
  if (isGuess) parts.failures.report({ address: who.address, code: error.code, user: who.userName })
  else await attempt.takeBack()
}

/**
 * Trades a code for a token that is good once, for five minutes, on this login and for this action (see contract/routes.ts).
 * Throws Refused: bad_credentials, code_already_used, too_many_attempts, second_factor_setup_required.
 */
export async function stepUp(
  parts: StepUpParts,
  doer: Doer,
  who: { readonly userId: string; readonly userName: string; readonly loginId: string; readonly address: string },
  input: { readonly action: string; readonly code: string },
): Promise<string> {
  const attempt = await parts.limiter.begin(`codes of ${who.userId}`, who.address)
  const { token, hash } = newToken('stepUp')
  try {
    await parts.deeds.commitDeed(async (tx, now) => {
      if (!(await hasConfirmedFactor(tx, who.userId)))
        throw new Refused('second_factor_setup_required', 'you have no second factor yet', 'run: sally mfa add')
      const factor = await useCode(tx, parts.sealer, { userId: who.userId }, input.code, now)
      await tx.deleteFrom('step_ups').where('expires_at', '<=', now).execute()
      const row = { token_hash: hash, login_id: who.loginId, action: input.action, expires_at: now + STEP_UP_MS }
      await tx
        .insertInto('step_ups')
        .values({ ...row, used_at: null })
        .execute()
      const details = { action: input.action, factor }
      return {
        result: null,
        events: [{ type: 'mfa.step_up', actor: doer.actor, login: who.loginId, outcome: 'success', details }],
      }
    })
  } catch (error) {
    await settleFailure(parts, attempt, error, who)
    throw error
  }
  await attempt.succeed()
  return token
}

/** Finds a token that is good, without using it up: its deed does that. Throws Refused('step_up_required'). */
export async function checkStepUp(
  parts: Pick<StoreParts, 'database' | 'clock'>,
  loginId: string,
  action: string,
  token: string,
): Promise<Confirmation> {
  const hash = tokenHash('stepUp', token)
  const now = parts.clock.now()
  const found =
    hash !== null &&
    (await parts.database.reads
      .selectFrom('step_ups')
      .select('expires_at')
      .where('token_hash', '=', hash)
      .where('login_id', '=', loginId)
      .where('action', '=', action)
      .where('used_at', 'is', null)
      .where('expires_at', '>', now)
      .executeTakeFirst())
  if (!found) throw notConfirmed(action)
  return { checkedAt: now, spend: (tx, at) => spend(tx, hash, action, at) }
}

/** One statement, so that no two deeds share a token, by whichever daemons they are done. */
async function spend(tx: Tx, hash: string, action: string, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('step_ups')
    .set({ used_at: now })
    .where('token_hash', '=', hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw notConfirmed(action)
}

function notConfirmed(action: string): Refused {
  return new Refused(
    'step_up_required',
    'that confirmation is unknown, used, too old or for something else',
    'confirm again with the next code',
    { action },
  )
}
