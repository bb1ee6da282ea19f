import type { Confirmation } from '../audit/confirmation.ts'
import { normaliseName } from '../formats/name.ts'
import { Refused } from '../foundation/errors.ts'
import { refuseLocked } from './login-sessions.ts'
import type { SignInParts } from './sign-in.ts'
import { hasConfirmedFactor, useCode } from './totp.ts'

type Parts = Omit<SignInParts, 'authorities' | 'loginTtlMs'>

/** Who somebody is, for one deed and without a login session. */
export interface ProvenPerson {
  readonly id: string
  readonly name: string
  /** A second factor is proven with the deed that uses up `confirmation` */
  readonly hasFactor: boolean
  readonly confirmation: Confirmation
}

/**
 * Checks name and password, and has the code used up by the deed that `work` does. Tries are counted as those of signing in.
 * Errors: Refused with bad_credentials, second_factor_required, code_already_used, too_many_attempts, user_disabled, locked,
 * and those of `work`.
 */
export async function withProvenPerson<T>(
  parts: Parts,
  input: { readonly user: string; readonly password: string; readonly code: string; readonly address: string },
  work: (person: ProvenPerson) => Promise<T>,
): Promise<T> {
  const named = normaliseName(input.user)
  const attempt = await parts.limiter.begin(named.ok ? named.name : null, input.address)
  let known: string | null = null
  try {
    const found = named.ok ? await findUser(parts, named.name) : undefined
    known = found?.name ?? null
    if (!(await parts.passwords.verify(input.password, found?.password_hash ?? null)) || !found)
      throw new Refused('bad_credentials', 'wrong name, password or code')
    const { id, name, password_hash } = found
    const hasFactor = await hasConfirmedFactor(parts.database.reads, id)
    if (hasFactor && input.code === '')
      throw new Refused('second_factor_required', 'a code from your authenticator is needed')
    const confirmation: Confirmation = {
      checkedAt: parts.clock.now(),
      async spend(tx, now) {
        const user = await tx.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
        if (!user || user.deleted_at !== null || user.password_hash !== password_hash)
          throw new Refused('bad_credentials', 'wrong name, password or code')
        if (user.disabled === 1) throw new Refused('user_disabled', 'your account is disabled')
        await refuseLocked(tx, id, null, now)
        if (hasFactor) await useCode(tx, parts.sealer, { userId: id }, input.code, now)
      },
    }
    const result = await work({ id, name, hasFactor, confirmation })
    await attempt.succeed()
    return result
  } catch (error) {
    const isGuess = error instanceof Refused && (error.code === 'bad_credentials' || error.code === 'code_already_used')
    if (!isGuess) await attempt.takeBack()
    else parts.failures.report({ address: input.address, code: error.code, ...(known === null ? {} : { user: known }) })
    throw error
  }
}

async function findUser(parts: Pick<Parts, 'database'>, name: string) {
  return await parts.database.reads
    .selectFrom('users')
    .select(['id', 'name', 'password_hash'])
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .where('service_owner_id', 'is', null)
    .executeTakeFirst()
}
