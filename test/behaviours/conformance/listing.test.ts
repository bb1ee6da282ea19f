// Lists of requests. Numbers in the titles are those of the list of behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, refusalOf, type Person, type Scene } from './house.ts'

describe.each(STORES)('lists on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('84: what waits for a vote leaves out own requests, decided ones and those voted on already', async () => {
    const request = { thresholds: [{ approve: 2, deny: 1 }] }
    const scene = await house.scene({ request, roles: { dba: {}, web: {}, ops: {} } })
    const [reviewer] = scene.reviewers
    await scene.give(reviewer!, ['reviewer', 'dev'])
    await reviewer!.api.ask({ body: { roles: [scene.role('dba')], reason: 'mine' } })
    const denied = await scene.ask({}, ['dba'])
    await scene.vote(1, denied, 'deny')
    const voted = await scene.ask({}, ['web'])
    await scene.vote(0, voted, 'approve')
    const waiting = await scene.ask({}, ['ops'])
    expect(await idsOf(reviewer!, scene, 'reviewable')).toEqual([waiting.id])
    expect(await idsOf(scene.requester, scene, 'mine')).toEqual([waiting.id, voted.id, denied.id])
  })

  test('86: nothing is skipped or doubled while new requests come in between two pages', async () => {
    const scene = await house.scene()
    const asked: string[] = []
    for (const index of [1, 2, 3, 4, 5]) asked.unshift((await scene.ask({ reason: `number ${index}` })).id)
    const read: string[] = []
    let cursor: string | undefined
    do {
      const query = { scope: 'mine', role: scene.role('dba'), limit: 2, cursor } as const
      const page = await scene.requester.api.listRequests({ query })
      read.push(...page.items.map(({ id }) => id))
      cursor = page.next ?? undefined
      if (read.length === 2) await scene.ask({ reason: 'in between' })
    } while (cursor !== undefined)
    expect(read).toEqual(asked)
  })

  test.each(['x', '!!!!', 'eyJhIjoxfQ', 'a'.repeat(500)])(
    'a cursor that we never gave (%s) is refused',
    async (cursor) => {
      const scene = await house.scene()
      expect(await refusalOf(scene.requester.api.listRequests({ query: { cursor } }))).toBe('malformed')
    },
  )

  test('somebody who waits hears of each vote and of the decision', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] } })
    const request = await scene.ask()
    const params = { id: request.id }
    const watch = (version: number) => scene.requester.api.watchRequest({ params, query: { version } })
    const heard = watch(request.version)
    await scene.vote(0, request, 'approve')
    const first = await heard
    expect(first).toMatchObject({ state: 'pending', reviews: [{ decision: 'approve' }] })
    const again = watch(first.version)
    await scene.vote(1, request, 'approve')
    expect((await again).state).toBe('approved')
  })
})

async function idsOf(person: Person, scene: Scene, scope: 'mine' | 'reviewable'): Promise<string[]> {
  const { items } = await person.api.listRequests({ query: { scope } })
  const prefix = scene.role('')
  return items.filter(({ roles }) => roles.some((role) => role.startsWith(prefix))).map(({ id }) => id)
}
