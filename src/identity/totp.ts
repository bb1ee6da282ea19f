import { generateSecret, generateURI, verifySync } from 'otplib'
import type { Tx } from '../audit/deed.ts'
import { Refused } from '../foundation/errors.ts'
import type { Sealer } from './sealing.ts'

/** Time-based codes (RFC 6238): SHA-1, six digits, 30 s, as every authenticator app has them. */
const PERIOD_S = 30

export const factorPlace = (id: string) => ({ table: 'factors', row: id, column: 'secret_sealed' })

export function newTotpSecret(user: string, installation: string): { readonly secret: string; readonly uri: string } {
  const secret = generateSecret({ length: 20 })
  return { secret, uri: generateURI({ issuer: `Sallyport ${installation}`, label: user, secret }) }
}

/** The time step that the code belongs to, one step before and after `now` included; null = wrong. */
export function stepOfCode(secret: string, code: string, now: number): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const result = verifySync({
    secret,
    token: code,
    epoch: Math.floor(now / 1000),
    period: PERIOD_S,
    epochTolerance: PERIOD_S,
  })
  return result.valid && 'timeStep' in result ? result.timeStep : null
}

/**
 * Checks a code against the user's confirmed factors, or the one that is being confirmed, and uses its step up.
 * Throws Refused: bad_credentials, code_already_used. Returns the factor's id.
 */
export async function useCode(
  tx: Tx,
  sealer: Sealer,
  who: { readonly userId: string; readonly confirming?: string },
  code: string,
  now: number,
): Promise<string> {
  const all = await tx.selectFrom('factors').selectAll().where('user_id', '=', who.userId).execute()
  const usable = all.filter(({ id, confirmed_at }) =>
    who.confirming === undefined ? confirmed_at !== null : id === who.confirming,
  )
  let isUsed = false
  for (const factor of usable) {
    const secret = sealer.unseal(factorPlace(factor.id), factor.secret_sealed).toString('utf8')
    const step = stepOfCode(secret, code, now)
    if (step === null) continue
    if (await takeStep(tx, factor.id, step)) return factor.id
    isUsed = true
  }
  if (isUsed) throw new Refused('code_already_used', 'that code has been used', 'wait for the next one')
  throw new Refused('bad_credentials', 'wrong code')
}

/** True once per step; steps at or before the last one are refused too. */
async function takeStep(tx: Tx, factorId: string, step: number): Promise<boolean> {
  const last = await tx
    .selectFrom('factor_uses')
    .select('last_step')
    .where('factor_id', '=', factorId)
    .executeTakeFirst()
  if (last && step <= last.last_step) return false
  await tx
    .insertInto('factor_uses')
    .values({ factor_id: factorId, last_step: step })
    .onConflict((conflict) => conflict.column('factor_id').doUpdateSet({ last_step: step }))
    .execute()
  return true
}

export async function hasConfirmedFactor(reader: Pick<Tx, 'selectFrom'>, userId: string): Promise<boolean> {
  const found = await reader
    .selectFrom('factors')
    .select('id')
    .where('user_id', '=', userId)
    .where('confirmed_at', 'is not', null)
    .executeTakeFirst()
  return found !== undefined
}
