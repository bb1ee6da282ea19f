import { confirmed } from '../audit/confirmation.ts'
import type { NewEvent } from '../audit/deed.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Doer } from './doer.ts'
import { settleFailure } from './step-up.ts'
import type { StepUpParts } from './step-up.ts'
import { factorPlace, newTotpSecret, useCode } from './totp.ts'

const MOST_FACTORS = 5

interface Owner {
  readonly userId: string
  readonly userName: string
  readonly loginId: string
  readonly address: string
}

export interface ListedFactor {
  readonly id: string
  readonly kind: 'totp'
  readonly name: string
  readonly createdAt: number
  readonly confirmed: boolean
}

export async function listFactors(database: Database, userId: string): Promise<ListedFactor[]> {
  const rows = await database.reads
    .selectFrom('factors')
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('created_at')
    .execute()
  return rows.map(({ id, kind, name, created_at, confirmed_at }) => ({
    id,
    kind,
    name,
    createdAt: created_at,
    confirmed: confirmed_at !== null,
  }))
}

/** Starts a factor; earlier unconfirmed ones go. The secret is shown here and never again. */
export async function addTotp(
  parts: StepUpParts,
  doer: Doer,
  owner: Owner,
  input: { readonly name: string; readonly installation: string },
): Promise<{ id: string; secret: string; uri: string }> {
  const made = newTotpSecret(owner.userName, input.installation)
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const factors = await tx.selectFrom('factors').selectAll().where('user_id', '=', owner.userId).execute()
      if (factors.filter(({ confirmed_at }) => confirmed_at !== null).length >= MOST_FACTORS)
        throw new Refused('over_limit', `at most ${MOST_FACTORS} factors`, 'remove one first: sally mfa rm')
      const stale = factors.filter(({ confirmed_at }) => confirmed_at === null).map(({ id }) => id)
      for (const id of stale) await tx.deleteFrom('factors').where('id', '=', id).execute()
      const id = newId('factor', now)
      const secret_sealed = parts.sealer.seal(factorPlace(id), Buffer.from(made.secret))
      const row = { id, event_id: '', user_id: owner.userId, kind: 'totp', name: input.name, secret_sealed } as const
      await tx
        .insertInto('factors')
        .values({ ...row, confirmed_at: null, created_at: now })
        .execute()
      const details = { factor: id, name: input.name, confirmed: false }
      const rows = [...stale, id].map((row) => ({ table: 'factors', id: row }) as const)
      return { result: { id, ...made }, events: [event('mfa.add', doer, details, rows)] }
    }),
  )
}

/** The first right code makes the factor count, and counts as a second factor on this login. */
export async function confirmTotp(
  parts: StepUpParts,
  doer: Doer,
  owner: Owner,
  input: { readonly id: string; readonly code: string },
): Promise<void> {
  const attempt = await parts.limiter.begin(`codes of ${owner.userId}`, owner.address)
  try {
    await parts.deeds.commitDeed(async (tx, now) => {
      const factor = await tx
        .selectFrom('factors')
        .selectAll()
        .where('id', '=', input.id)
        .where('user_id', '=', owner.userId)
        .where('confirmed_at', 'is', null)
        .executeTakeFirst()
      if (!factor) throw new Refused('not_found', 'there is no such factor to confirm', 'run: sally mfa add')
      await useCode(tx, parts.sealer, { userId: owner.userId, confirming: factor.id }, input.code, now)
      await tx.updateTable('factors').set({ confirmed_at: now }).where('id', '=', factor.id).execute()
      const login = await tx
        .selectFrom('login_sessions')
        .select('factors_json')
        .where('id', '=', owner.loginId)
        .executeTakeFirstOrThrow()
      const factors = new Set([...(JSON.parse(login.factors_json) as string[]), 'totp'])
      await tx
        .updateTable('login_sessions')
        .set({ second_factor_at: now, factors_json: JSON.stringify([...factors]) })
        .where('id', '=', owner.loginId)
        .execute()
      const rows = [
        { table: 'factors', id: factor.id },
        { table: 'login_sessions', id: owner.loginId },
      ] as const
      return {
        result: null,
        events: [event('mfa.add', doer, { factor: factor.id, name: factor.name, confirmed: true }, rows)],
      }
    })
  } catch (error) {
    await settleFailure(parts, attempt, error, owner)
    throw error
  }
  await attempt.succeed()
}

/** The last confirmed factor stays: only an operator's reset takes it. */
export async function removeFactor(parts: StepUpParts, doer: Doer, userId: string, id: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx) => {
      const factors = await tx.selectFrom('factors').selectAll().where('user_id', '=', userId).execute()
      const factor = factors.find((each) => each.id === id)
      if (!factor) throw new Refused('not_found', 'there is no such factor', 'run: sally mfa ls')
      const others = factors.filter((each) => each.id !== id && each.confirmed_at !== null)
      if (factor.confirmed_at !== null && others.length === 0)
        throw new Refused('not_allowed', 'the last factor stays', 'add another one first: sally mfa add')
      await tx.deleteFrom('factors').where('id', '=', id).execute()
      const rows = [{ table: 'factors', id }] as const
      return { result: null, events: [event('mfa.remove', doer, { factor: id, name: factor.name }, rows)] }
    }),
  )
}

function event(
  type: 'mfa.add' | 'mfa.remove',
  doer: Doer,
  details: Record<string, unknown>,
  rows: NonNullable<NewEvent['rows']>,
): NewEvent {
  return { type, actor: doer.actor, login: doer.loginId, outcome: 'success', details, rows }
}
