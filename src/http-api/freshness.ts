import { createHash } from 'node:crypto'
import type { Confirmation } from '../audit/confirmation.ts'
import { Refused } from '../foundation/errors.ts'
import type { Caller } from './caller.ts'

/** How long a second factor counts as fresh. */
export const FRESH_MS = 5 * 60_000

/** Finds an unused step-up token of this login for this action, or throws Refused('step_up_required'). */
export type CheckStepUp = (loginId: string, action: string, token: string) => Promise<Confirmation>

/** What a step-up is bound to: hex SHA-256 of `METHOD path\n` and the exact body bytes; path = request target as sent. */
export function actionOf(method: string, target: string, body: Uint8Array): string {
  return createHash('sha256').update(`${method} ${target}\n`).update(body).digest('hex')
}

/** For routes with `fresh`: a step-up bound to this very call. null: the admin socket needs none. */
export async function demandStepUp(
  caller: Caller,
  action: string,
  token: string | undefined,
  check: CheckStepUp,
): Promise<Confirmation | null> {
  if (caller.kind === 'local') return null
  if (caller.kind === 'anonymous') throw new Refused('not_signed_in', 'you are not signed in', 'run: sally login')
  if (caller.kind === 'service') throw new Refused('not_allowed', 'a service account confirms nothing')
  if (!caller.hasSecondFactor)
    throw new Refused('second_factor_setup_required', 'this needs a second factor', 'run: sally mfa add')
  if (token === undefined)
    throw new Refused(
      'step_up_required',
      'confirm this with a code from your authenticator',
      'send a step-up token bound to this call',
      { action },
    )
  return await check(caller.loginId, action, token)
}

/**
 * A second factor was proven on the login at most five minutes ago, and none came with the call. A program has no second
 * factor: what it may do without is what its token's scopes name.
 */
export function isFresh(caller: Caller, token: string | undefined, now: number): boolean {
  if (caller.kind === 'service') return true
  const provenAt = caller.kind === 'user' ? caller.secondFactorAt : null
  return provenAt !== null && token === undefined && provenAt <= now && now - provenAt <= FRESH_MS
}

/** For a review and the like: a second factor on the login that is at most five minutes old, or a step-up. */
export async function demandFresh(
  caller: Caller,
  action: string,
  token: string | undefined,
  check: CheckStepUp,
  now: number,
): Promise<Confirmation | null> {
  if (isFresh(caller, token, now)) return null
  return await demandStepUp(caller, action, token, check)
}
