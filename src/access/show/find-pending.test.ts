import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR } from '../../../test/support/access-world.ts'
import type { AskWay } from '../../contract/access-check.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres', 'root'], node_labels: { env: 'prod' } } })
  await world.role('web', { allow: { logins: ['www'], node_labels: { env: 'web' } } })
  await world.role('dev', { allow: { request: { roles: ['dba', 'web'], search_as_roles: ['dba'] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  for (const name of ['alice', 'adam']) await world.user(name, { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await world.node('db-box', { env: 'prod' })
  await world.node('other-box', { env: 'prod' })
})
afterEach(() => world.close())

const dba: AskWay = {
  roles: ['dba'],
  resources: [],
  narrowing: null,
  logins: ['postgres', 'root'],
  longest: HOUR,
  reason: { required: false, prompt: null },
}

const pending = async (user = 'alice', login: string | null = null, ways = [dba]): Promise<string | undefined> => {
  const wanted = { place: { kind: 'node', name: 'db-box' }, account: login, ways } as const
  return (await world.requests.pendingFor(callerNamed(user), wanted))?.id
}

describe('a pending request that would give what was refused', () => {
  test('is found among others, for its requester alone, the newest first', async () => {
    await world.ask('alice', ['web'])
    const older = await world.ask('alice', ['dba'], { reason: 'one' })
    expect(await pending()).toBe(older.id)
    world.clock.advance(1000)
    const newer = await world.ask('alice', ['dba', 'web'], { reason: 'two' })
    expect(await pending()).toBe(newer.id)
    expect(await pending('adam')).toBeUndefined()
  })

  test('for resources, when this one is among them, by this login or any', async () => {
    await world.ask('alice', [], { resources: ['node/other-box'] })
    expect(await pending()).toBeUndefined()
    const { id } = await world.ask('alice', [], { resources: ['node/db-box'], login: 'postgres' })
    expect(await pending()).toBe(id)
    expect(await pending('alice', 'postgres')).toBe(id)
    expect(await pending('alice', 'root')).toBeUndefined()
  })

  test.each<[string, () => Promise<unknown>]>([
    ['for another role', () => world.ask('alice', ['web'])],
    [
      'that starts at an instant',
      () => world.ask('alice', ['dba'], { start: { at: 'instant', instant: world.clock.now() + HOUR } }),
    ],
    [
      'that is decided',
      async () => {
        const { id } = await world.ask('alice', ['dba'])
        await world.approve('bob', id)
      },
    ],
    [
      'whose time is over',
      async () => {
        await world.ask('alice', ['dba'], { pendingFor: HOUR })
        world.clock.advance(HOUR)
      },
    ],
  ])('is not one %s', async (_name, ask) => {
    await ask()
    expect(await pending()).toBeUndefined()
  })
})
