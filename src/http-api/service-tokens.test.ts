import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identityWorld, PASSWORD, deviceKey, type IdentityWorld } from '../../test/support/identity-world.ts'
import { identityStore } from '../../test/support/identity-store.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { UserDocument } from '../contract/user.ts'
import { openTemporaryDatabase } from '../foundation/database/open-database.ts'
import { Snapshot } from '../grants/snapshot.ts'
import { SYSTEM } from '../identity/doer.ts'
import { addLock, removeLock } from '../identity/locks.ts'
import { IDENTITY_REPLAYS } from '../identity/replays.ts'
import { addServiceToken, listServiceTokens, removeServiceToken } from '../identity/service-tokens.ts'
import { signIn } from '../identity/sign-in.ts'
import { putUser, removeUser, resetUser } from '../identity/users.ts'
import { identityChecks } from './identity-handlers.ts'

const HOUR = 3_600_000
const ADDRESS = '192.0.2.7'
let world: IdentityWorld
let services: IdentityWorld['services']
let checks: ReturnType<typeof identityChecks>

beforeEach(async () => {
  const clock = new ManualClock()
  world = await identityWorld(identityStore(clock, openTemporaryDatabase(clock)))
  for (const [name, replay] of Object.entries(IDENTITY_REPLAYS)) world.deeds.registerReplay(name, replay)
  const snapshot = await Snapshot.load(world.database.reads)
  world.deeds.onCommitted((committed) => snapshot.apply(committed))
  const takeAway: typeof services.takeAway = (taken, now) => snapshot.takeAway(taken, now)
  services = { ...world.services, snapshot, takeAway }
  checks = identityChecks(services)
  await world.role('reviewer', { review_requests: { roles: ['*'] } })
  await world.person('ada', [], true)
})
afterEach(() => world.close())

const body = { account: 'bot', owner: 'ada', scopes: ['requests:read' as const], ttl: HOUR, note: '' }
const free = async (): Promise<void> => {}
const add = (more: Partial<Parameters<typeof addServiceToken>[2]> = {}, may = free) =>
  addServiceToken(services, SYSTEM, { ...body, ...more }, may)
const signedIn = (secret: string, address = ADDRESS) => checks.authenticateService?.(secret, address)
const put = (name: string, spec: object) =>
  putUser(services, SYSTEM, UserDocument.parse({ kind: 'user', metadata: { name }, spec }), true)

test('a token is its account, keeps its hash alone, and says its scopes; the event holds no secret', async () => {
  const { token, secret } = await add({
    roles: ['reviewer'],
    scopes: ['requests:review', 'requests:read', 'requests:read'],
  })
  expect(secret).toMatch(/^sally_service_[A-Za-z0-9_-]{43}$/)
  expect(await signedIn(secret)).toMatchObject({
    tokenId: token.id,
    scopes: ['requests:read', 'requests:review'],
    user: { name: 'bot' },
  })
  const rows = await world.database.reads.selectFrom('service_tokens').selectAll().execute()
  const events = await world.database.reads.selectFrom('audit_events').selectAll().execute()
  expect(JSON.stringify([rows, events, await listServiceTokens(world.database, 0)])).not.toContain(secret.slice(14))
  expect((await world.eventTypes()).slice(-2)).toEqual(['token.create', 'user.create'])
})

describe('a token ends', () => {
  const refused = async (secret: string, code: string): Promise<void> => {
    await expect(signedIn(secret)).rejects.toMatchObject({ code })
  }

  test('at its end, to the millisecond', async () => {
    const { secret } = await add()
    world.clock.advance(HOUR - 1)
    await signedIn(secret)
    world.clock.advance(1)
    await refused(secret, 'token_ended')
  })

  test('when it is removed, alone', async () => {
    const [first, second] = [await add(), await add()]
    await removeServiceToken(services, SYSTEM, first.token.id)
    await refused(first.secret, 'token_ended')
    await signedIn(second.secret)
    await expect(removeServiceToken(services, SYSTEM, first.token.id)).rejects.toMatchObject({ code: 'not_found' })
    expect((await listServiceTokens(world.database, world.clock.now())).map(({ id }) => id)).toEqual([second.token.id])
  })

  test('when its account is disabled, and does not come back with it', async () => {
    const { secret } = await add()
    await put('bot', { disabled: true })
    await refused(secret, 'token_ended')
    await put('bot', {})
    await refused(secret, 'token_ended')
    await signedIn((await add()).secret)
  })

  test('when its account is removed; one of the same name later is another', async () => {
    const { secret } = await add()
    await removeUser(services, SYSTEM, 'bot')
    await refused(secret, 'token_ended')
    await add()
    await refused(secret, 'token_ended')
  })

  test('while its account or its owner is locked', async () => {
    const { secret } = await add()
    for (const target of ['bot', 'ada']) {
      const { id } = await addLock(services, SYSTEM, { kind: 'user', target, message: 'held' })
      await refused(secret, 'locked')
      await removeLock(services, SYSTEM, id)
      await signedIn(secret)
    }
  })

  test('while its owner is disabled, and for good when they are gone, until somebody else answers for it', async () => {
    const { secret } = await add()
    await put('ada', { disabled: true })
    await refused(secret, 'user_disabled')
    await put('ada', {})
    await signedIn(secret)
    await removeUser(services, SYSTEM, 'ada')
    await refused(secret, 'user_disabled')
    expect((await listServiceTokens(world.database, world.clock.now()))[0]?.owner).toBeNull()
    await world.person('bob', [], true)
    const asked: string[] = []
    await add({ owner: 'bob' }, async () => void asked.push('may make users'))
    expect(asked).toEqual(['may make users'])
    await signedIn(secret)
  })

  test('in memory while the disk is full, removed or disabled, and is stored later', async () => {
    const [removed, other] = [await add(), await add({ account: 'other' })]
    const page = await sql<{ page_count: number }>`pragma page_count`.execute(world.database.reads)
    const limit = (most: number) =>
      world.database.transact(
        async (tx) => void (await sql`pragma max_page_count = ${sql.raw(String(most))}`.execute(tx)),
      )
    await limit(page.rows[0]?.page_count ?? 0)
    for (let tries = 0; tries < 50 && world.deeds.spilled === 0; tries++)
      await addLock(services, SYSTEM, { kind: 'role', target: 'reviewer', message: 'x'.repeat(500) })
    expect(world.deeds.spilled).toBeGreaterThan(0)
    await removeServiceToken(services, SYSTEM, removed.token.id)
    await put('other', { disabled: true })
    await refused(removed.secret, 'token_ended')
    await refused(other.secret, 'token_ended')
    await limit(1_000_000)
    await world.deeds.retrySpilled()
    const rows = await world.database.reads.selectFrom('service_tokens').select('removed_at').execute()
    expect(rows.every((row) => row.removed_at !== null)).toBe(true)
  })
})

describe('accounts', () => {
  test('belong to a person: one has to be named, who is there, may sign in and is no account', async () => {
    const { owner: _, ...nobody } = body
    await expect(addServiceToken(services, SYSTEM, nobody, free)).rejects.toMatchObject({ code: 'malformed' })
    await expect(add({ owner: 'nobody' })).rejects.toMatchObject({ code: 'not_found' })
    await add()
    await expect(add({ account: 'second', owner: 'bot' })).rejects.toMatchObject({ code: 'not_found' })
    await put('ada', { disabled: true })
    await expect(add({ account: 'second' })).rejects.toMatchObject({ code: 'not_found' })
  })

  test('are never people, and keep their roles when a token is added', async () => {
    await expect(add({ account: 'ada' })).rejects.toMatchObject({ code: 'exists' })
    await add()
    await expect(add({ roles: ['reviewer'] })).rejects.toMatchObject({
      code: 'exists',
      hint: expect.stringContaining('edit user/bot'),
    })
    await expect(add({ account: 'new', roles: ['none'] })).rejects.toMatchObject({ code: 'role_unknown' })
  })

  test('are made only by who may make users, and a token more needs no such right', async () => {
    const never = async (): Promise<void> => {
      throw new Error('may not make users')
    }
    await expect(add({}, never)).rejects.toThrow('may not make users')
    await add()
    await add({}, never)
    await world.person('bob', [], true)
    await expect(add({ owner: 'bob' }, never)).rejects.toThrow('may not make users')
    // Nor does an account fall to whoever adds a token once its owner is gone.
    await removeUser(services, SYSTEM, 'ada')
    const { owner: _, ...ownerless } = body
    const bob = { actor: { kind: 'user', id: 'usr_x', name: 'bob' }, loginId: null } as const
    await expect(addServiceToken(services, bob, ownerless, never)).rejects.toThrow('may not make users')
    expect((await addServiceToken(services, bob, ownerless, free)).token.owner).toBe('bob')
  })

  test('have at most twenty tokens', async () => {
    for (let count = 0; count < 20; count++) await add()
    await expect(add()).rejects.toMatchObject({ code: 'over_limit' })
    world.clock.advance(HOUR)
    await add()
  })

  test('never sign in: no reset, no invitation, no password', async () => {
    await add()
    await expect(resetUser(services, SYSTEM, 'bot')).rejects.toMatchObject({ code: 'not_allowed' })
    const device = { device: 'laptop', sshPublicKey: deviceKey(), address: ADDRESS }
    for (const password of ['', PASSWORD])
      await expect(signIn(services, { ...device, user: 'bot', password })).rejects.toMatchObject({
        code: 'bad_credentials',
      })
  })
})

test('wrong tokens are counted by address and told together; whoever was right lately goes on', async () => {
  const { secret } = await add()
  await signedIn(secret)
  const wrong = (index: number): string => `sally_service_${String(index).padStart(43, 'x')}`
  for (let index = 0; index < 30; index++)
    await expect(signedIn(wrong(index))).rejects.toMatchObject({ code: 'not_signed_in' })
  await expect(signedIn(wrong(31))).rejects.toMatchObject({ code: 'too_many_attempts' })
  await expect(signedIn(wrong(31), '192.0.2.8')).rejects.toMatchObject({ code: 'not_signed_in' })
  await signedIn(secret)
  world.clock.advance(60_000)
  await expect(signedIn(wrong(32))).rejects.toMatchObject({ code: 'not_signed_in' })
  await world.failures.flush()
  const told = await world.database.reads
    .selectFrom('audit_events')
    .select('details_json')
    .where('type', '=', 'auth.fail')
    .execute()
  expect(told.length).toBeLessThanOrEqual(4)
  expect(told.map((row) => row.details_json).join()).toContain('service_token')
})

test('what looks like no service token is not taken for one, and a service token is no login', async () => {
  const { secret } = await add()
  expect(await signedIn('sally_login_x')).toBeNull()
  await expect(checks.authenticate(secret, ADDRESS)).rejects.toMatchObject({ code: 'not_signed_in' })
  for (const broken of [`${secret}x`, secret.slice(0, -1), 'sally_service_', `sally_service_${' '.repeat(43)}`])
    await expect(signedIn(broken)).rejects.toMatchObject({ code: 'not_signed_in' })
})
