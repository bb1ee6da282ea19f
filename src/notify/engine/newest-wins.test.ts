import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld, MINUTE } from '../../../test/support/access-world.ts'
import { lastShown, NotifyWorld, type FakeVendor, type Mishap } from '../../../test/support/notify-world.ts'
import { until } from '../../../test/support/until.ts'
import { DeliveryFailed } from '../connector.ts'

let world: AccessWorld
let notify: NotifyWorld
let vendor: FakeVendor

beforeEach(async () => {
  world = await AccessWorld.open()
  notify = new NotifyWorld(world)
  await world.role('dba')
  await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['asker'] })
  for (const name of ['bob', 'carol']) await world.user(name, { roles: ['reviewer'] })
  vendor = await notify.integration('chat', [{ channels: ['C0OPS'], reviewers: true, requester: true }])
  for (const name of ['alice', 'bob', 'carol']) await notify.link('chat', name)
})
afterEach(() => notify.close())

const MISHAPS: Readonly<Record<string, () => Mishap>> = {
  fine: () => null,
  lost: () => ({ when: 'before', error: new Error('connect ECONNRESET') }),
  'done but not confirmed': () => ({ when: 'after', error: new Error('socket hang up') }),
  slow: () => ({ when: 'before', error: new DeliveryFailed('retry', 'ratelimited', 5000) }),
}

const step = fc.oneof(
  fc.constantFrom('bob approves', 'carol approves', 'bob denies', 'alice cancels', 'a minute passes'),
  fc.constantFrom(...Object.keys(MISHAPS)),
)

test('whatever the vendor does and whenever people act, what a message shows never goes back, and in the end every copy that is known shows the newest state', async () => {
  notify.start()
  let count = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
      vendor.posts.length = 0
      // After a denial the same is not asked for at once.
      count += 1
      world.clock.advance(11 * MINUTE)
      const { id } = await world.ask('alice', ['dba'], { reason: `history ${count}` })
      for (const each of steps) await take(each, id)
      vendor.mishap = () => null
      await until(
        'all to be told',
        async () => {
          world.clock.advance(10_000)
          return (await isRouted()) && (await rowsOf(id)).every((row) => row.state !== 'due')
        },
        { every: 1 },
      )
      const { state } = await world.show(id)
      for (const row of await rowsOf(id)) {
        if (row.kind !== 'request' || row.state === 'dropped') continue
        const post = vendor.posts.find(({ external }) => external === row.external)
        expect(lastShown(post).split(' ')[0]).toBe(state)
      }
      for (const { shown } of vendor.posts) {
        const order = shown.map(({ content }) => (content.kind === 'request' ? seen(content.view) : 0))
        expect(order).toEqual(order.toSorted((a, b) => a - b))
      }
      // So that the next history is about another request.
      if (state === 'pending') await world.requests.cancel(aliceCalls, id)
    }),
    { numRuns: 12 },
  )
})

const aliceCalls = {
  ...{ actor: { kind: 'user', id: 'usr_alice', name: 'alice' } as const, userId: 'usr_alice', loginId: null },
  local: false,
}

const isRouted = async (): Promise<boolean> =>
  (await world.database.reads.selectFrom('outbox').select('id').where('routed_at', 'is', null).execute()).length === 0
const rowsOf = async (id: string) => (await notify.rows()).filter((row) => row.request_id === id)

/** Grows with each thing that happens to a request. */
const seen = (view: { readonly state: string; readonly reviews: readonly unknown[] }): number =>
  view.reviews.length + (view.state === 'pending' ? 0 : 100)

async function take(what: string, id: string): Promise<void> {
  const mishap = MISHAPS[what]
  if (mishap) vendor.mishap = mishap
  else if (what === 'a minute passes') {
    world.clock.advance(MINUTE)
    await new Promise((resolve) => setImmediate(resolve))
  } else {
    try {
      if (what === 'alice cancels') await world.requests.cancel(aliceCalls, id)
      else await world.vote(what.split(' ')[0] ?? '', id, what.endsWith('denies') ? 'deny' : 'approve')
    } catch {
      // Too late: it was decided by an earlier step.
    }
  }
}
