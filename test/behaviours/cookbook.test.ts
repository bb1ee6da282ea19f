// The cookbook of docs/policies.md: each file is loaded as it stands and does what it says.
import { chmodSync, cpSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { putReviewRule } from '../../src/access/automate/review-rules.ts'
import { ReviewRuleDocument } from '../../src/contract/review-rule.ts'
import { RoleDocument } from '../../src/contract/role.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { roleProblems } from '../../src/identity/role-problems.ts'
import { Policies } from '../../src/main/policies.ts'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../support/access-world.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'

const COOKBOOK = fileURLToPath(new URL('../../docs/cookbook', import.meta.url))
const ENTRY = fileURLToPath(new URL('../../src/main/sallyport.ts', import.meta.url))

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  for (const role of ['prod-shell', 'prod-db', 'staging-db', 'staging-deploy', 'db-readonly', 'db-admin'])
    await world.role(role)
})
afterEach(() => world.close())

async function load(file: string): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(`${COOKBOOK}/${file}`, 'utf8'))) {
    const value = document.toJS() as { kind: string; spec: object }
    if (value.kind === 'review_rule') await putReviewRule(world, SYSTEM, ReviewRuleDocument.parse(value), true)
    else {
      const role = RoleDocument.parse(value)
      expect(roleProblems(role.spec)).toEqual([])
      await world.role(role.metadata.name, value.spec)
    }
  }
}
/** Monday, in Berlin's winter. */
const monday = (hour: number): void => world.clock.advance(Date.UTC(2026, 10, 23, hour - 1) - world.clock.now())
const state = async (who: string, role: string, more: Parameters<AccessWorld['ask']>[2] = {}) =>
  (await world.ask(who, [role], { duration: HOUR, ...more })).state

test('peer review: two of the team, and one refusal is enough', async () => {
  await load('peer-review.yaml')
  await world.user('alice', { roles: ['developer'] })
  for (const name of ['bob', 'carol']) await world.user(name, { roles: ['developer'], traits: { team: ['shop'] } })
  await world.user('dan', { roles: ['developer'], traits: { team: ['other'] } })
  const asked = await world.ask('alice', ['prod-shell'], { reason: 'restart' })
  expect((await world.approve('dan', asked.id)).state).toBe('pending')
  expect((await world.approve('bob', asked.id)).state).toBe('pending')
  expect((await world.approve('carol', asked.id)).state).toBe('approved')
  const other = await world.ask('alice', ['prod-shell'], { reason: 'other' })
  expect((await world.deny('bob', other.id)).state).toBe('denied')
})

test('two groups: each must agree', async () => {
  await load('two-groups.yaml')
  await world.user('alice', { roles: ['developer'] })
  await world.user('bob', { roles: ['reviewer'], traits: { team: ['database'] } })
  await world.user('carol', { roles: ['reviewer'], traits: { team: ['security'] } })
  const asked = await world.ask('alice', ['prod-db'])
  expect((await world.approve('bob', asked.id)).state).toBe('pending')
  expect((await world.approve('carol', asked.id)).state).toBe('approved')
})

test('on-call: at once for whoever is on call, and for an hour', async () => {
  await load('on-call.yaml')
  await world.user('alice', { roles: ['developer'], traits: { on_call: ['shop'] } })
  await world.user('bob', { roles: ['developer'], traits: { on_call: ['other'] } })
  expect(await state('alice', 'prod-shell')).toBe('approved')
  expect(await state('alice', 'prod-shell', { duration: 2 * HOUR })).toBe('pending')
  expect(await state('bob', 'prod-shell')).toBe('pending')
})

test('office hours: nobody is needed from nine to five on working days', async () => {
  await load('office-hours.yaml')
  await world.user('alice', { roles: ['developer'] })
  monday(8)
  expect(await state('alice', 'staging-db')).toBe('pending')
  monday(9)
  expect(await state('alice', 'staging-db', { reason: 'later' })).toBe('approved')
  monday(17)
  expect(await state('alice', 'staging-db', { reason: 'evening' })).toBe('pending')
})

test('break-glass passes the freeze that stops every ordinary request', async () => {
  await load('break-glass.yaml')
  await world.user('alice', { roles: ['engineer'] })
  await world.user('bob', { roles: ['reviewer'] })
  expect(await state('alice', 'prod-shell')).toBe('denied')
  const taking = { roles: ['prod-shell'], reason: 'the shop is down', durationMs: null, confirm: 'prod-shell' }
  const taken = await world.requests.breakGlass(callerNamed('alice'), taking)
  expect(taken.grant).toMatchObject({ state: 'active', endsAt: world.clock.now() + 30 * MINUTE })
})

test('read-only at once: looking needs nobody, changing needs a colleague', async () => {
  await load('read-only-at-once.yaml')
  await world.user('alice', { roles: ['developer'] })
  await world.user('bob', { roles: ['reviewer'] })
  expect(await state('alice', 'db-readonly')).toBe('approved')
  const asked = await world.ask('alice', ['db-admin'])
  expect(asked.state).toBe('pending')
  expect((await world.approve('bob', asked.id)).state).toBe('approved')
})

describe('policies of the cookbook, in their sandbox', () => {
  let policies: Policies
  let folder: TempFolder
  beforeEach(async () => {
    folder = tempFolder('cookbook')
    cpSync(`${COOKBOOK}/policy`, folder.path, { recursive: true })
    for (const path of ['', 'lib']) chmodSync(folder.file(path), 0o755)
    for (const file of ['ai-agent', 'contractor', 'production-freeze', 'ticket-required', 'lib/production'])
      chmodSync(folder.file(`${file}.ts`), 0o644)
    policies = new Policies({ store: world, folder: folder.path, entry: ENTRY, clock: systemClock, log: silentLog })
    await policies.load()
    world.asker = policies
    await world.role('developer', { allow: { request: { roles: ['*'], max_duration: '8h' } } })
    await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
    await world.role('release')
    await world.role('contractor')
    await world.role('ai-agent')
    await world.user('bob', { roles: ['reviewer'], traits: { owner: ['shop'], sponsors: ['agents-of-alice'] } })
    await world.user('carol', { roles: ['reviewer', 'release'] })
    monday(10)
  })
  afterEach(() => {
    policies.stop()
    folder[Symbol.dispose]()
  })

  test('all of them are put in force, and again changes nothing', async () => {
    const rows = await world.database.reads.selectFrom('policies').select('file').execute()
    expect(rows.map(({ file }) => file).sort()).toEqual([
      'ai-agent.ts',
      'contractor.ts',
      'production-freeze.ts',
      'ticket-required.ts',
    ])
    expect(await policies.load()).toEqual({ loaded: [], changed: [], removed: [] })
  })

  test('ticket required: without one denied, with one limited, and mended at once', async () => {
    await world.user('alice', { roles: ['developer'] })
    expect(await state('alice', 'prod-db', { reason: 'please' })).toBe('denied')
    const asked = await world.ask('alice', ['prod-db'], { reason: 'CHG-7' })
    expect(asked).toMatchObject({ state: 'pending', grantedDuration: HOUR })
    expect((await world.approve('carol', asked.id)).grant?.endsAt).toBe(world.clock.now() + HOUR)
  })

  test('production freeze: denied for all but the release team, of whom two agree', async () => {
    await world.user('alice', { roles: ['developer'] })
    await world.user('erin', { roles: ['developer', 'release'] })
    await world.user('dave', { roles: ['reviewer', 'release'] })
    world.clock.advance(Date.UTC(2026, 11, 24, 12) - world.clock.now())
    expect(await state('alice', 'prod-db', { reason: 'INC-1' })).toBe('denied')
    expect(await state('alice', 'staging-db')).toBe('pending')
    const asked = await world.ask('erin', ['prod-db'], { reason: 'INC-1' })
    await world.approve('bob', asked.id)
    expect((await world.approve('carol', asked.id)).state).toBe('pending')
    expect((await world.approve('dave', asked.id)).state).toBe('approved')
  })

  test('contractor: the owner of the contract agrees, for two hours of a working day', async () => {
    await world.user('zoe', { roles: ['developer', 'contractor'], traits: { contract_owner: ['shop'] } })
    const asked = await world.ask('zoe', ['staging-db'])
    expect((await world.approve('carol', asked.id)).state).toBe('pending')
    expect((await world.approve('bob', asked.id)).grant?.endsAt).toBe(world.clock.now() + 2 * HOUR)
    monday(20)
    expect(await state('zoe', 'staging-deploy')).toBe('denied')
  })

  test('AI agent: its sponsor agrees, for minutes, and more than agents may have is refused', async () => {
    await world.user('bot-1', { roles: ['developer', 'ai-agent'], traits: { sponsor: ['agents-of-alice'] } })
    expect(await state('bot-1', 'db-admin')).toBe('denied')
    const asked = await world.ask('bot-1', ['db-readonly'])
    expect((await world.approve('carol', asked.id)).state).toBe('pending')
    expect((await world.approve('bob', asked.id)).grant?.endsAt).toBe(world.clock.now() + 15 * MINUTE)
  })
})
