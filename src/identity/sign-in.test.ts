import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuthorityKeys, checkCertificate } from '../formats/openssh/check-certificate.ts'
import { fingerprint, parsePublicKey, parsePublicKeyLine } from '../formats/openssh/public-key.ts'
import { codeOf, deviceKey, identityWorld, PASSWORD } from '../../test/support/identity-world.ts'
import type { IdentityWorld } from '../../test/support/identity-world.ts'
import { SYSTEM } from './doer.ts'
import { INVITATION_MS } from './invitations.ts'
import { endLogin, LoginFinder } from './login-sessions.ts'
import { addLock, listLocks, removeLock } from './locks.ts'
import { acceptInvitation, signIn } from './sign-in.ts'
import type { SignInInput } from './sign-in.ts'
import { addUser, putUser, removeUser, resetUser } from './users.ts'

let world: IdentityWorld
beforeEach(async () => {
  world = await identityWorld()
})
afterEach(() => world.close())

const input = (more: Partial<SignInInput> = {}): SignInInput => ({
  user: 'alice',
  password: PASSWORD,
  device: 'laptop',
  sshPublicKey: deviceKey(),
  address: '192.0.2.1',
  ...more,
})
const attempt = (more: Partial<SignInInput> = {}) => signIn(world.services, input(more))
const codeOfRefusal = (more: Partial<SignInInput>) =>
  attempt(more).then(
    () => 'in',
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  )
const WRONG = 'bad_credentials: wrong name, password or code'
const find = (token: string) => new LoginFinder(world.services).find(token)

describe('signing in', () => {
  test('gives a token and a certificate for the device’s key, as long as the login session', async () => {
    const alice = await world.person('alice')
    const key = deviceKey()
    const signedIn = await attempt({ sshPublicKey: key, code: alice.freshCode() })
    expect(await find(signedIn.token)).toMatchObject({
      loginId: signedIn.login.id,
      user: { id: alice.id, name: 'alice' },
      secondFactorAt: world.clock.now(),
      hasSecondFactor: true,
    })
    const verdict = checkCertificate(parsePublicKeyLine(signedIn.sshCertificate).blob, {
      authorities: new AuthorityKeys(world.services.authorities.trustedBlobs('user-ssh')),
      kind: 'user',
      principal: { exact: `sallyport-user-${alice.id}` },
      now: world.clock.now(),
      address: '192.0.2.1',
      enforces: ['login-session@sallyport'],
      isRevoked: () => false,
    })
    expect(verdict).toMatchObject({ ok: true, loginSession: signedIn.login.id, expiresAt: signedIn.login.expiresAt })
    const row = await world.database.reads
      .selectFrom('login_sessions')
      .selectAll()
      .where('id', '=', signedIn.login.id)
      .executeTakeFirstOrThrow()
    expect(row.key_fingerprint).toBe(fingerprint(parsePublicKey(parsePublicKeyLine(key).blob).blob))
    expect(row.token_hash).toMatch(/^[0-9a-f]{64}$/)
    expect((await world.eventTypes()).slice(-2)).toEqual(['user.login', 'cert.create'])
  })

  test('no secret is in any event', async () => {
    const alice = await world.person('alice')
    const { token } = await attempt({ code: alice.freshCode() })
    await codeOfRefusal({ password: 'canary-password' })
    await world.failures.flush()
    const events = JSON.stringify(await world.database.reads.selectFrom('audit_events').selectAll().execute())
    for (const secret of [token, PASSWORD, 'canary-password', alice.secret ?? '', 'argon2id'])
      expect(events).not.toContain(secret)
  })

  test('the name may be written in capitals, and in no look-alike', async () => {
    const alice = await world.person('alice')
    expect((await attempt({ user: 'ALICE', code: alice.freshCode() })).user.name).toBe('alice')
    for (const user of ['alice ', ' alice', '\uff41lice', '\u0430lice', 'alice\0', '', 'a'.repeat(200)])
      expect(await codeOfRefusal({ user, address: `198.51.100.${user.length}` })).toBe(WRONG)
  })

  test('unknown, invited and wrong are told the same', async () => {
    await world.person('alice')
    await addUser(world.services, SYSTEM, { name: 'invited', roles: [], traits: {} })
    for (const user of ['alice', 'nobody', 'invited'])
      expect(await codeOfRefusal({ user, password: 'wrong password', address: `198.51.100.${user.length}` })).toBe(
        WRONG,
      )
  })

  test('the right password without a code asks for one and does not count as a failure', async () => {
    const alice = await world.person('alice')
    for (let i = 0; i < 10; i++) expect(await codeOfRefusal({})).toContain('second_factor_required')
    expect(await codeOfRefusal({ code: alice.freshCode() })).toBe('in')
  })

  test('a code works once, also at two sign-ins at the same moment', async () => {
    const alice = await world.person('alice')
    const code = alice.freshCode()
    const both = await Promise.all([codeOfRefusal({ code }), codeOfRefusal({ code })])
    expect(both.filter((answer) => answer === 'in')).toHaveLength(1)
    expect(both.find((answer) => answer !== 'in')).toContain('code_already_used')
    world.clock.advance(30_000)
    expect(await codeOfRefusal({ code })).toContain('code_already_used')
  })

  test('codes of the steps before and after are taken, older and later ones not', async () => {
    const alice = await world.person('alice')
    world.clock.advance(10 * 30_000)
    const at = (steps: number) => codeOf(alice.secret ?? '', world.clock.now() + steps * 30_000)
    expect(await codeOfRefusal({ code: at(-2) })).toBe(WRONG.replace('name, password or ', ''))
    expect(await codeOfRefusal({ code: at(2) })).toContain('bad_credentials')
    expect(await codeOfRefusal({ code: at(-1) })).toBe('in')
    expect(await codeOfRefusal({ code: at(1) })).toBe('in')
    // A step before the last used one never comes back.
    expect(await codeOfRefusal({ code: at(0) })).toContain('code_already_used')
  })

  test.each(['', '12345', '1234567', 'abcdef', ' 123456', '１２３４５６', '-12345', '1e5000'])(
    'the code "%s" is wrong',
    async (code) => {
      await world.person('alice')
      expect(await codeOfRefusal({ code })).toContain('bad_credentials')
    },
  )

  test.each([
    ['empty', ''],
    ['a certificate', 'certificate'],
    ['DSA', 'ssh-dss AAAAB3NzaC1kc3M='],
    ['cut', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=='],
    ['two lines', `${deviceKey()}\n${deviceKey()}`],
    ['with options', `command="x" ${deviceKey()}`],
  ])('a device key that is %s is refused before the password is looked at', async (_what, line) => {
    const alice = await world.person('alice')
    const certificate = (await attempt({ code: alice.freshCode() })).sshCertificate
    const sshPublicKey = line === 'certificate' ? certificate : line
    expect(await codeOfRefusal({ sshPublicKey, code: alice.freshCode() })).toContain('malformed')
  })

  test('control characters in a device’s name are not kept', async () => {
    const alice = await world.person('alice')
    const { login } = await attempt({ device: '\u001b[31mred\u202e\r\n', code: alice.freshCode() })
    const row = await world.database.reads
      .selectFrom('login_sessions')
      .select('device')
      .where('id', '=', login.id)
      .executeTakeFirstOrThrow()
    expect(row.device).toBe('[31mred')
  })
})

describe('lockout', () => {
  test('five tries in 15 minutes per account, whatever the spelling and the address', async () => {
    const alice = await world.person('alice')
    for (const [index, user] of ['alice', 'Alice', 'ALICE', 'aLice', 'alicE'].entries())
      expect(await codeOfRefusal({ user, password: 'x', address: `203.0.113.${index}` })).toBe(WRONG)
    expect(await codeOfRefusal({ code: alice.freshCode(), address: '203.0.113.9' })).toContain('too_many_attempts')
    world.clock.advance(15 * 60_000)
    expect(await codeOfRefusal({ code: alice.freshCode() })).toBe('in')
  })

  test('five tries per address, whatever the account; one IPv6 network is one address', async () => {
    for (let i = 0; i < 5; i++)
      expect(await codeOfRefusal({ user: `u${i}`, address: `2001:db8:1:2::${i}` })).toBe(WRONG)
    expect(await codeOfRefusal({ user: 'u9', address: '2001:db8:1:2:ffff::1' })).toContain('too_many_attempts')
    expect(await codeOfRefusal({ user: 'u9', address: '2001:db8:1:3::1' })).toBe(WRONG)
  })

  test('a hundred at once are five', async () => {
    await world.person('alice')
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => codeOfRefusal({ password: 'x', address: `10.0.${i}.1` })),
    )
    expect(answers.filter((answer) => answer === WRONG)).toHaveLength(5)
  })

  test('unknown accounts are locked out as known ones are', async () => {
    for (let i = 0; i < 5; i++) await codeOfRefusal({ user: 'nobody', address: `203.0.113.${i}` })
    expect(await codeOfRefusal({ user: 'nobody', address: '203.0.113.9' })).toContain('too_many_attempts')
  })

  test('guessed codes count, and a success starts the account anew', async () => {
    const alice = await world.person('alice')
    for (let i = 0; i < 4; i++) await codeOfRefusal({ code: '000000', address: `203.0.113.${i}` })
    expect(await codeOfRefusal({ code: alice.freshCode() })).toBe('in')
    for (let i = 0; i < 5; i++) await codeOfRefusal({ code: '000000', address: `203.0.113.1${i}` })
    expect(await codeOfRefusal({ code: alice.freshCode() })).toContain('too_many_attempts')
  })

  test('failures are told in one event per address and ten seconds', async () => {
    await world.person('alice')
    const before = (await world.eventTypes()).length
    for (let i = 0; i < 3; i++) await codeOfRefusal({ password: 'x', address: '203.0.113.7' })
    await codeOfRefusal({ user: 'hunter2-typed-as-a-name', address: '203.0.113.8' })
    world.clock.advance(10_000)
    await expect.poll(async () => (await world.eventTypes()).slice(before)).toEqual(['auth.fail', 'auth.fail'])
    const rows = await world.database.reads
      .selectFrom('audit_events')
      .select('details_json')
      .where('type', '=', 'auth.fail')
      .orderBy('seq')
      .execute()
    expect(JSON.parse(rows[0]?.details_json ?? '')).toMatchObject({
      address: '203.0.113.7',
      codes: { bad_credentials: 3 },
      users: ['alice'],
    })
    // Who is not known may be a password in the wrong field.
    expect(JSON.stringify(rows)).not.toContain('hunter2')
  })
})

describe('a login session', () => {
  test('is refused after its end, after 12 hours, and when its user is disabled, locked or removed', async () => {
    const alice = await world.person('alice')
    expect((await find(alice.token)).user.name).toBe('alice')
    const lock = await addLock(world.services, SYSTEM, { kind: 'user', target: 'alice', message: 'lost laptop' })
    await expect(find(alice.token)).rejects.toMatchObject({ code: 'locked', message: 'locked: lost laptop' })
    await removeLock(world.services, SYSTEM, lock.id)
    expect((await find(alice.token)).user.name).toBe('alice')
    await addLock(world.services, SYSTEM, { kind: 'login', target: alice.loginId, message: '', ttl: '1h' })
    await expect(find(alice.token)).rejects.toMatchObject({ code: 'locked' })
    world.clock.advance(3_600_000)
    expect((await find(alice.token)).user.name).toBe('alice')
    world.clock.advance(12 * 3_600_000)
    await expect(find(alice.token)).rejects.toMatchObject({ code: 'login_ended' })
  })

  test('ends in memory before it ends in the store', async () => {
    const alice = await world.person('alice')
    await endLogin(world.services, { actor: SYSTEM.actor, loginId: alice.loginId }, alice.loginId, alice.id)
    expect(world.taken).toEqual([{ kind: 'login', id: alice.loginId }])
    await expect(find(alice.token)).rejects.toMatchObject({ code: 'login_ended' })
    expect((await world.eventTypes()).at(-1)).toBe('user.logout')
  })

  test('of somebody else is not found', async () => {
    const [alice, bob] = [await world.person('alice'), await world.person('bob')]
    await expect(endLogin(world.services, SYSTEM, alice.loginId, bob.id)).rejects.toMatchObject({ code: 'not_found' })
    expect(world.taken).toEqual([])
  })

  test('is found by tokens of its kind alone', async () => {
    const alice = await world.person('alice')
    const rest = alice.token.slice('sally_login_'.length)
    for (const token of [
      ...['', rest, `sally_invite_${rest}`, `sally_stepup_${rest}`, `SALLY_LOGIN_${rest}`],
      ...[`${alice.token}A`, alice.token.slice(0, -1), ` ${alice.token}`, `${alice.token}\n`],
    ])
      await expect(find(token)).rejects.toMatchObject({ code: 'not_signed_in' })
  })

  test('is noted as seen once a minute', async () => {
    const alice = await world.person('alice')
    const finder = new LoginFinder(world.services)
    const seen = () => world.database.reads.selectFrom('login_seen').select('last_seen_at').executeTakeFirst()
    await finder.find(alice.token)
    const first = world.clock.now()
    world.clock.advance(59_000)
    await finder.find(alice.token)
    expect((await seen())?.last_seen_at).toBe(first)
    world.clock.advance(1000)
    await finder.find(alice.token)
    expect((await seen())?.last_seen_at).toBe(first + 60_000)
  })
})

describe('an invitation', () => {
  const accept = (code: string, address = '192.0.2.1') =>
    acceptInvitation(world.services, { code, password: PASSWORD, device: 'd', sshPublicKey: deviceKey(), address })

  test('works once, also for two at the same moment, and is kept as a hash', async () => {
    const { invitation } = await addUser(world.services, SYSTEM, { name: 'alice', roles: [], traits: {} })
    const both = await Promise.allSettled([accept(invitation.code), accept(invitation.code)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const row = await world.database.reads.selectFrom('invitations').selectAll().executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toContain(invitation.code)
  })

  test('ends after 72 hours, with a newer one, and with its user; all are told the same', async () => {
    const fields = (name: string) => ({ name, roles: [], traits: {} })
    const { invitation: old } = await addUser(world.services, SYSTEM, fields('alice'))
    const { code } = await resetUser(world.services, SYSTEM, 'alice')
    const { invitation: gone } = await addUser(world.services, SYSTEM, fields('bob'))
    await removeUser(world.services, SYSTEM, 'bob')
    for (const [index, bad] of [old.code, gone.code, 'sally_invite_x', ''].entries())
      await expect(accept(bad, `203.0.113.${index}`)).rejects.toMatchObject({
        code: 'invitation_invalid',
        message: 'that invitation is unknown, used or too old',
      })
    world.clock.advance(INVITATION_MS - 1)
    expect((await accept(code)).user.name).toBe('alice')
    const { invitation: late } = await addUser(world.services, SYSTEM, fields('carol'))
    world.clock.advance(INVITATION_MS)
    await expect(accept(late.code)).rejects.toMatchObject({ code: 'invitation_invalid' })
  })

  test('tells whoever must have a second factor that it is due', async () => {
    await world.role('reviewer', { review_requests: { roles: ['*'] } })
    const invited = (name: string, roles: string[]) => addUser(world.services, SYSTEM, { name, roles, traits: {} })
    const bob = await accept((await invited('bob', ['reviewer'])).invitation.code)
    const alice = await accept((await invited('alice', [])).invitation.code)
    expect([bob.secondFactorDue, alice.secondFactorDue]).toEqual([true, false])
  })
})

describe('a reset', () => {
  test('takes password, factors and login sessions, and silences votes for a day', async () => {
    const alice = await world.person('alice')
    const { code } = await resetUser(world.services, SYSTEM, 'alice')
    await expect(find(alice.token)).rejects.toMatchObject({ code: 'login_ended' })
    expect(await codeOfRefusal({ code: alice.freshCode() })).toBe(WRONG)
    const row = await world.database.reads.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    expect(row.votes_count_from).toBe(world.clock.now() - 30_000 + 24 * 3_600_000)
    const device = { device: 'd', sshPublicKey: deviceKey(), address: '192.0.2.1' }
    expect((await acceptInvitation(world.services, { ...device, code, password: PASSWORD })).user.id).toBe(alice.id)
    const after = await world.database.reads.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    expect(after.votes_count_from).toBe(row.votes_count_from)
  })

  test('frees a locked-out account', async () => {
    await world.person('alice')
    for (let i = 0; i < 5; i++) await codeOfRefusal({ password: 'x', address: `203.0.113.${i}` })
    await resetUser(world.services, SYSTEM, 'alice')
    expect(await codeOfRefusal({ password: 'x', address: '203.0.113.9' })).toBe(WRONG)
  })
})

test('disabling a user ends the login sessions; a user made under a removed one’s name is somebody else', async () => {
  const alice = await world.person('alice')
  const document = { kind: 'user', version: 'v1', metadata: { name: 'alice' } } as const
  const spec = { roles: [], traits: {}, disabled: true }
  await putUser(world.services, SYSTEM, { ...document, spec }, true)
  await expect(find(alice.token)).rejects.toMatchObject({ code: 'login_ended' })
  expect(await codeOfRefusal({ code: alice.freshCode() })).toContain('user_disabled')
  await removeUser(world.services, SYSTEM, 'alice')
  expect(await codeOfRefusal({ code: alice.freshCode() })).toBe(WRONG)
  const again = await world.person('alice')
  expect(again.id).not.toBe(alice.id)
  await expect(find(alice.token)).rejects.toMatchObject({ code: 'login_ended' })
})

test('a lock in force is listed until its end', async () => {
  await world.role('dba')
  await addLock(world.services, SYSTEM, { kind: 'role', target: 'DBA', message: 'audit', ttl: '1h' })
  expect(await listLocks(world.database, world.clock.now())).toMatchObject([{ target: { kind: 'role', name: 'dba' } }])
  expect(await listLocks(world.database, world.clock.now() + 3_600_000)).toEqual([])
  await expect(addLock(world.services, SYSTEM, { kind: 'node', target: 'none', message: '' })).rejects.toMatchObject({
    code: 'not_found',
  })
})
