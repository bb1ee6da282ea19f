import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld } from '../../../test/support/access-world.ts'
import { ChatWorld, testSealer, TOKEN } from '../../../test/support/chat-world.ts'
import { IntegrationDocument } from '../../contract/integration.ts'
import { rowTrouble } from '../../audit/check-row.ts'
import {
  breakIntegration,
  integrationRows,
  listIntegrationDocuments,
  openedIntegration,
  putIntegration,
  removeIntegration,
} from './integrations.ts'

const ADMIN = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const
const SLACK = { vendor: 'slack', team_id: 'T0TEST', app_id: 'A0TEST', mode: 'http' }
const SECRETS = { bot_token: TOKEN, signing_secret: 'a signing secret of the test' }

let world: AccessWorld
const sealer = testSealer()
beforeEach(async () => {
  world = await AccessWorld.open()
})
afterEach(() => world.close())

const put = (spec: object, replace = true, name = 'slack') =>
  putIntegration(
    { deeds: world.deeds, sealer },
    ADMIN,
    IntegrationDocument.parse({ kind: 'integration', metadata: { name }, spec }),
    replace,
  )
async function secretsOf(name = 'slack'): Promise<unknown> {
  const row = (await integrationRows(world.database.reads)).find((each) => each.name === name)
  return row && openedIntegration(sealer, row).secrets
}

test('trap 20: secrets are sealed, opened for their connector alone, and neither shown nor told of by any list, event or row', async () => {
  await put({ ...SLACK, secrets: SECRETS })
  expect(await secretsOf()).toEqual(SECRETS)
  const [document] = await listIntegrationDocuments(world.database.reads)
  expect(document).toMatchObject({
    kind: 'integration',
    metadata: { name: 'slack' },
    spec: { vendor: 'slack', team_id: 'T0TEST', enabled: true },
  })
  const everything = JSON.stringify([
    document,
    await world.events(),
    await world.outbox(),
    await integrationRows(world.database.reads),
  ])
  for (const secret of Object.values(SECRETS)) expect(everything).not.toContain(secret)
  const event = (await world.events()).findLast(({ type }) => type === 'integration.create')
  expect(event?.details).toMatchObject({
    name: 'slack',
    vendor: 'slack',
    secretsGiven: ['bot_token', 'signing_secret'],
  })
})
test('what get prints, create takes: a secret that is left out stays as it was, one that is null goes', async () => {
  await put({ ...SLACK, secrets: SECRETS })
  const [document] = await listIntegrationDocuments(world.database.reads)
  await put({ ...document?.spec, omit_reason: true })
  expect(await secretsOf()).toEqual(SECRETS)
  await put({ ...SLACK, secrets: { bot_token: 'xoxb-another' } })
  expect(await secretsOf()).toEqual({ ...SECRETS, bot_token: 'xoxb-another' })
  await expect(put({ ...SLACK, secrets: { signing_secret: null } })).rejects.toMatchObject({ code: 'malformed' })
  expect((await world.eventTypes()).filter((type) => type.startsWith('integration.'))).toEqual([
    'integration.create',
    'integration.update',
    'integration.update',
  ])
})
test('what was stored for one server is never sent to another', async () => {
  await put({ ...SLACK, secrets: SECRETS })
  const moved = { ...SLACK, api_url: 'https://evil.example/api/' }
  await expect(put(moved)).rejects.toMatchObject({
    code: 'malformed',
    hint: expect.stringContaining('somewhere else') as string,
  })
  await put({ ...moved, secrets: { ...SECRETS, bot_token: 'xoxb-another' } })
  expect(await secretsOf()).toMatchObject({ bot_token: 'xoxb-another' })
})
test.each([
  ['an unknown key', { ...SLACK, secrets: SECRETS, extra: 1 }],
  ['an unknown vendor', { ...SLACK, vendor: 'carrier-pigeon' }],
])('%s is no document', (_what, spec) => {
  expect(IntegrationDocument.safeParse({ kind: 'integration', metadata: { name: 'x' }, spec }).success).toBe(false)
})
test('an unknown or empty secret is refused, and what was given is not in the refusal', async () => {
  for (const secrets of [
    { ...SECRETS, other: 'hush-hush' },
    { ...SECRETS, bot_token: '' },
    { ...SECRETS, bot_token: 'hush-hush' },
    {},
  ]) {
    const refusal: unknown = await put({ ...SLACK, secrets }).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'malformed' })
    expect(JSON.stringify([refusal, String(refusal)])).not.toContain('hush-hush')
  }
})
test('a name that is taken is not taken over, and an integration stays of its vendor', async () => {
  await put({ ...SLACK, secrets: SECRETS })
  await expect(put({ ...SLACK, secrets: SECRETS }, false)).rejects.toMatchObject({ code: 'exists' })
  const teams = { vendor: 'teams', secrets: { workflows: { ops: 'https://example.org/hook' } } }
  await expect(put(teams)).rejects.toMatchObject({ code: 'malformed' })
})
test('one that is removed takes its secrets and its linked accounts with it, and its id never comes back', async () => {
  const chat = new ChatWorld(world, sealer)
  const id = await chat.integration('slack')
  await world.user('bob')
  await chat.link('bob', 'bob', { integration: 'slack' })
  await removeIntegration({ deeds: world.deeds }, ADMIN, 'slack')
  expect(await world.database.reads.selectFrom('integrations').select('secrets_sealed').execute()).toEqual([
    { secrets_sealed: null },
  ])
  expect((await chat.integration('slack')) === id).toBe(false)
  expect(await chat.types('bob', 'mine', { integration: 'slack' })).toMatchObject({ kind: 'open' })
  await expect(removeIntegration({ deeds: world.deeds }, ADMIN, 'none')).rejects.toMatchObject({ code: 'not_found' })
})
test('one that broke says why until it is changed, and an event tells of it once', async () => {
  const { id } = await put({ ...SLACK, secrets: SECRETS })
  expect(await breakIntegration({ deeds: world.deeds }, ADMIN, id, 'invalid_auth')).toBe(true)
  expect(await breakIntegration({ deeds: world.deeds }, ADMIN, id, 'invalid_auth')).toBe(false)
  expect((await integrationRows(world.database.reads))[0]?.broken_why).toBe('invalid_auth')
  expect((await world.eventTypes()).filter((type) => type === 'integration.disable')).toHaveLength(1)
  await put({ ...SLACK, secrets: SECRETS })
  expect((await integrationRows(world.database.reads))[0]?.broken_why).toBeNull()
  expect(await rowTrouble(world.database, { table: 'integrations', id })).toBeNull()
})
