import type { AuthFailures } from '../audit/auth-failures.ts'
import type { NewEvent, Tx } from '../audit/deed.ts'
import type { SignedIn } from '../contract/login.ts'
import { FormatError } from '../formats/format-error.ts'
import { normaliseName } from '../formats/name.ts'
import { fingerprint, parsePublicKey, parsePublicKeyLine } from '../formats/openssh/public-key.ts'
import type { SshPublicKey } from '../formats/openssh/public-key.ts'
import type { LoginSessionsTable, UsersTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Attempt, Limiter } from './attempt-limiter.ts'
import type { Authorities } from './authorities.ts'
import type { StoreParts } from './doer.ts'
import { takeInvitation } from './invitations.ts'
import { refuseLocked } from './login-sessions.ts'
import type { Passwords } from './passwords.ts'
import { loadPerson, needsSecondFactor } from './people.ts'
import type { Sealer } from './sealing.ts'
import { newToken } from './tokens.ts'
import { hasConfirmedFactor, useCode } from './totp.ts'

export interface SignInParts extends StoreParts {
  readonly authorities: Pick<Authorities, 'sshUserCertificate'>
  readonly sealer: Sealer
  readonly passwords: Passwords
  readonly limiter: Limiter
  readonly failures: Pick<AuthFailures, 'report'>
  /** Life of a login session, ms */
  readonly loginTtlMs: number
}

interface Device {
  /** What the person calls it */
  readonly device: string
  /** OpenSSH public key line */
  readonly sshPublicKey: string
  /** Peer address without port */
  readonly address: string
}

export interface SignInInput extends Device {
  readonly user: string
  readonly password: string
  readonly code?: string | undefined
}

export interface AcceptInput extends Device {
  readonly code: string
  readonly password: string
}

type Factor = 'password' | 'totp' | 'invitation'
const wrong = (): Refused => new Refused('bad_credentials', 'wrong name, password or code')

/**
 * Password, then code where there is a second factor. Unknown, invited and known users cost the same and are told the same.
 * Throws Refused: bad_credentials, second_factor_required, code_already_used, too_many_attempts, user_disabled, locked,
 * malformed (the key).
 */
export async function signIn(parts: SignInParts, input: SignInInput): Promise<SignedIn> {
  const key = readDeviceKey(input.sshPublicKey)
  const named = normaliseName(input.user)
  const attempt = await begin(parts, named.ok ? named.name : null, input.address)
  let user: UsersTable | undefined
  try {
    user = named.ok ? await findUser(parts, named.name) : undefined
    const known = user
    if (!(await parts.passwords.verify(input.password, known?.password_hash ?? null)) || !known) throw wrong()
    const signedIn = await parts.deeds.commitDeed((tx, now) => openWithCode(parts, tx, now, known, input, key))
    await attempt.succeed()
    return signedIn
  } catch (error) {
    // Only names that are ours are told: people type passwords where names belong.
    const name = user ? { user: user.name } : {}
    if (!(error instanceof Refused) || !isGuess(error)) await attempt.takeBack()
    else parts.failures.report({ address: input.address, code: error.code, ...name })
    throw error
  }
}

async function begin(parts: SignInParts, account: string | null, address: string): Promise<Attempt> {
  try {
    return await parts.limiter.begin(account, address)
  } catch (error) {
    if (error instanceof Refused) parts.failures.report({ address, code: error.code })
    throw error
  }
}

function isGuess({ code }: Refused): boolean {
  return code === 'bad_credentials' || code === 'code_already_used' || code === 'invitation_invalid'
}

async function findUser(parts: SignInParts, name: string): Promise<UsersTable | undefined> {
  return await parts.database.reads
    .selectFrom('users')
    .selectAll()
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

async function openWithCode(
  parts: SignInParts,
  tx: Tx,
  now: number,
  checked: UsersTable,
  input: SignInInput,
  key: SshPublicKey,
): Promise<{ result: SignedIn; events: readonly [NewEvent, ...NewEvent[]] }> {
  const user = await tx.selectFrom('users').selectAll().where('id', '=', checked.id).executeTakeFirst()
  // The password was checked outside the transaction: it must still be the one.
  if (!user || user.deleted_at !== null || user.password_hash !== checked.password_hash) throw wrong()
  if (user.disabled === 1) throw new Refused('user_disabled', 'your account is disabled')
  await refuseLocked(tx, user.id, null, now)
  const hasFactor = await hasConfirmedFactor(tx, user.id)
  if (hasFactor && input.code === undefined)
    throw new Refused('second_factor_required', 'a code from your authenticator is needed', 'give it with --code')
  if (hasFactor) await useCode(tx, parts.sealer, { userId: user.id }, input.code ?? '', now)
  return await openLogin(parts, tx, now, user, {
    ...input,
    key,
    factors: hasFactor ? ['password', 'totp'] : ['password'],
  })
}

/** First sign-in of an invited user: sets the password. Throws Refused: invitation_invalid, too_many_attempts and others. */
export async function acceptInvitation(parts: SignInParts, input: AcceptInput): Promise<SignedIn> {
  const key = readDeviceKey(input.sshPublicKey)
  const attempt = await begin(parts, null, input.address)
  try {
    const hash = await parts.passwords.hash(input.password)
    const signedIn = await parts.deeds.commitDeed(async (tx, now) => {
      const invitation = await takeInvitation(tx, input.code, now)
      const user = await tx.selectFrom('users').selectAll().where('id', '=', invitation.user_id).executeTakeFirst()
      if (!user || user.deleted_at !== null || user.disabled === 1)
        throw new Refused('user_disabled', 'your account is disabled')
      await refuseLocked(tx, user.id, null, now)
      await tx.updateTable('users').set({ password_hash: hash }).where('id', '=', user.id).execute()
      const login = await openLogin(parts, tx, now, user, { ...input, key, factors: ['password', 'invitation'] })
      const accepted: NewEvent = {
        type: 'user.update',
        actor: { kind: 'user', id: user.id, name: user.name },
        login: login.result.login.id,
        outcome: 'success',
        details: { user: user.id, what: 'invitation accepted, password set' },
        rows: [
          { table: 'users', id: user.id },
          { table: 'invitations', id: invitation.id },
        ],
      }
      return { result: login.result, events: [accepted, ...login.events] as const }
    })
    await attempt.succeed()
    return signedIn
  } catch (error) {
    if (!(error instanceof Refused) || !isGuess(error)) await attempt.takeBack()
    else parts.failures.report({ address: input.address, code: error.code })
    throw error
  }
}

interface Opening extends Device {
  readonly key: SshPublicKey
  readonly factors: readonly Factor[]
}

async function openLogin(
  parts: SignInParts,
  tx: Tx,
  now: number,
  user: UsersTable,
  opening: Opening,
): Promise<{ result: SignedIn; events: readonly [NewEvent, ...NewEvent[]] }> {
  const { token, hash } = newToken('login')
  const row: LoginSessionsTable = {
    id: newId('login', now),
    event_id: '',
    user_id: user.id,
    token_hash: hash,
    device: printable(opening.device),
    factors_json: JSON.stringify(opening.factors),
    second_factor_at: opening.factors.includes('totp') ? now : null,
    key_fingerprint: fingerprint(opening.key.blob),
    x509_fingerprint: null,
    address: opening.address,
    created_at: now,
    expires_at: now + parts.loginTtlMs,
    ended_at: null,
    end_reason: null,
  }
  await tx.insertInto('login_sessions').values(row).execute()
  const names = { userId: user.id, userName: user.name, loginId: row.id }
  const certificate = parts.authorities.sshUserCertificate({
    ...names,
    subject: opening.key,
    now,
    until: row.expires_at,
  })
  const person = await loadPerson(tx, user.id, now)
  const result: SignedIn = {
    user: { id: user.id, name: user.name },
    login: { id: row.id, expiresAt: row.expires_at },
    token,
    sshCertificate: certificate.line,
    secondFactorDue: person !== null && needsSecondFactor(person) && !(await hasConfirmedFactor(tx, user.id)),
  }
  return { result, events: loginEvents(user, row, certificate.serial) }
}

function loginEvents(user: UsersTable, row: LoginSessionsTable, serial: bigint): readonly [NewEvent, NewEvent] {
  const common = {
    actor: { kind: 'user', id: user.id, name: user.name },
    login: row.id,
    outcome: 'success',
  } as const
  const { device, address, key_fingerprint: key } = row
  const factors = JSON.parse(row.factors_json) as string[]
  return [
    {
      type: 'user.login',
      ...common,
      details: { device, address, key, factors },
      rows: [{ table: 'login_sessions', id: row.id }],
    },
    {
      type: 'cert.create',
      ...common,
      details: { kind: 'user-ssh', serial: String(serial), key, expiresAt: row.expires_at },
    },
  ]
}

/** Shown in lists on terminals: control and formatting characters become blanks. */
function printable(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ').trim()
  return plain === '' ? 'unnamed device' : plain
}

function readDeviceKey(line: string): SshPublicKey {
  try {
    return parsePublicKey(parsePublicKeyLine(line).blob)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new Refused('malformed', `sshPublicKey: ${error.message}`, 'send the line of an OpenSSH public key')
  }
}
