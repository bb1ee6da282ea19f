import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DeliveryFailed, type Connector } from '../../src/notify/connector.ts'
import type { NotifyEngine } from '../../src/notify/engine/notify-engine.ts'
import { AccessWorld, MINUTE } from '../support/access-world.ts'
import { Mortal } from '../support/mortal.ts'
import { lastShown, NotifyWorld, startedAlone, type FakeVendor, type Mishap } from '../support/notify-world.ts'
import { until } from '../support/until.ts'

let world: AccessWorld
let notify: NotifyWorld
let vendor: FakeVendor

const CHANNEL = 'C0OPS'
const MOST_STEPS = 200

beforeEach(async () => {
  world = await AccessWorld.open()
  notify = new NotifyWorld(world)
  await world.role('dba')
  await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 1, deny: 1 }] } } })
  await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['asker'] })
  await world.user('bob', { roles: ['reviewer'] })
  vendor = await notify.integration('chat', [{ channels: [CHANNEL], requester: true }])
  await notify.link('chat', 'alice')
})
afterEach(() => notify.close())

const searchable = (connector: Connector): Connector => ({ ...connector, find: vendor.find })

async function settledAll(): Promise<boolean> {
  const { reads } = world.database
  const waiting = await reads.selectFrom('outbox').select('id').where('routed_at', 'is', null).executeTakeFirst()
  const rows = await notify.rows()
  return waiting === undefined && rows.length > 0 && rows.every((row) => row.state !== 'due')
}

const passing = (what: string, isOver: () => boolean = () => false): Promise<unknown> =>
  until(
    what,
    async () => {
      if (isOver() || (await settledAll())) return true
      world.clock.advance(10_000)
      return false
    },
    { every: 1 },
  )

/** One daemon after the other, each dies at the step that it is told; the last one lives. */
class Dynasty {
  readonly #deaths: number[]
  readonly died: string[] = []
  #mortal: Mortal | null = null
  #engine: NotifyEngine | null = null

  constructor(deaths: readonly number[]) {
    this.#deaths = [...deaths]
  }

  async told(what: string): Promise<void> {
    for (;;) {
      if (this.#engine === null) await this.#begin()
      const mortal = this.#mortal
      await passing(what, () => mortal?.dead ?? false)
      if (!mortal?.dead) return
      this.died.push(mortal.last)
      this.#engine = null
    }
  }

  async end(): Promise<void> {
    await this.#engine?.stop()
  }

  async #begin(): Promise<void> {
    await startedAlone(world)
    const steps = this.#deaths.shift()
    const mortal = steps === undefined ? null : new Mortal(steps)
    this.#mortal = mortal
    this.#engine = mortal
      ? notify.start(mortal.plane(notify.plane), {
          mortal: true,
          through: (connector) => mortal.connector(searchable(connector)),
        })
      : notify.start(notify.plane, { through: searchable })
  }
}

/** A request that is asked for and approved, told by daemons that die. What they died at. */
async function story(deaths: readonly number[]): Promise<readonly string[]> {
  vendor.posts.length = 0
  // Nobody may ask too often.
  world.clock.advance(11 * MINUTE)
  const dynasty = new Dynasty(deaths)
  const { id } = await world.ask('alice', ['dba'], { reason: `deaths at ${deaths.join(' ')}` })
  await dynasty.told('the request')
  await world.approve('bob', id)
  await dynasty.told('the decision')
  await dynasty.end()
  for (const where of [CHANNEL, 'alice']) {
    const about = `died ${dynasty.died.join(', ')}: at ${where}`
    expect(vendor.requestsAt(where).map(lastShown), about).toEqual([expect.stringMatching(/^approved/)])
    const lines = vendor.linesAt(where)
    expect(lines.toSorted(), about).toEqual([expect.stringMatching('approved: dba'), 'bob approved'])
  }
  const rows = (await notify.rows()).filter((row) => row.request_id === id)
  expect(rows.map(({ state, unknown_since }) => [state, unknown_since])).toEqual(rows.map(() => ['settled', null]))
  return dynasty.died
}

describe('a vendor that drops no doubles and can be searched', () => {
  test('has exactly one copy of each message and each line, whatever step of delivery the daemon dies at', async () => {
    const died = new Set<string>()
    for (let step = 1; step <= MOST_STEPS; step++) {
      const deaths = await story([step])
      if (deaths.length === 0) break
      for (const death of deaths) died.add(death)
    }
    for (const what of ['claimMessages', 'deliver', 'storeDelivery'])
      for (const when of ['before', 'after']) expect(died).toContain(`${when} ${what}`)
    expect(vendor.searches).toBeGreaterThan(0)
  })

  test('has exactly one when daemon after daemon dies, while they search too', async () => {
    const died = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 3, max: 12 }), { minLength: 2, maxLength: 4 }), async (deaths) => {
        for (const death of await story(deaths)) died.add(death)
      }),
      { numRuns: 12 },
    )
    expect([...died].some((death) => death.endsWith('find'))).toBe(true)
  })
  test('has exactly one whatever it answers, or does not, while people act', async () => {
    const mishaps: readonly (() => Mishap)[] = [
      () => null,
      () => ({ when: 'before', error: new Error('connect ECONNRESET') }),
      () => ({ when: 'after', error: new Error('socket hang up') }),
      () => ({ when: 'after', error: new DeliveryFailed('retry', 'HTTP 502') }),
      () => ({ when: 'before', error: new DeliveryFailed('retry', 'ratelimited', 5000) }),
    ]
    const engine = notify.start(notify.plane, { through: searchable })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(mishaps.length - 1), { minLength: 1, maxLength: 12 }), async (answers) => {
        vendor.posts.length = 0
        const left = [...answers]
        vendor.mishap = () => mishaps[left.shift() ?? 0]?.() ?? null
        world.clock.advance(11 * MINUTE)
        const { id } = await world.ask('alice', ['dba'], { reason: answers.join(' ') })
        await passing('the request')
        await world.approve('bob', id)
        await passing('the decision')
        for (const where of [CHANNEL, 'alice']) {
          expect(vendor.requestsAt(where).map(lastShown)).toEqual([expect.stringMatching(/^approved/)])
          expect(vendor.linesAt(where)).toHaveLength(2)
        }
      }),
      { numRuns: 25 },
    )
    await engine.stop()
  })
})

describe('a message whose fate is unknown', () => {
  const unsure = (): Mishap => ({ when: 'after', error: new Error('socket hang up') })
  const starting = (find: NonNullable<Connector['find']>): NotifyEngine =>
    notify.start(notify.plane, { through: (connector) => ({ ...connector, find }) })

  test('is sent again, and not looked for any more, where the vendor does not let us look; it breaks nothing', async () => {
    vendor.mishap = unsure
    starting(() => Promise.reject(new DeliveryFailed('integration', 'missing_scope')))
    await world.ask('alice', ['dba'])
    await until('a first attempt', () => vendor.requestsAt(CHANNEL).length === 1)
    vendor.mishap = () => null
    await passing('the request')
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(2)
    expect(await world.eventTypes()).not.toContain('integration.disable')
  })

  test('is not sent while the search fails, and once when it works again', async () => {
    vendor.mishap = unsure
    let fails = true
    let searches = 0
    starting((task) => {
      searches += 1
      return fails ? Promise.reject(new DeliveryFailed('retry', 'HTTP 503')) : vendor.find(task)
    })
    await world.ask('alice', ['dba'])
    await until('a first attempt', () => vendor.requestsAt(CHANNEL).length === 1)
    vendor.mishap = () => null
    await until('some searches', () => {
      world.clock.advance(10_000)
      return searches >= 4
    })
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(1)
    fails = false
    await passing('the request')
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(1)
  })

  test('is known again when the vendor says that it took nothing', async () => {
    vendor.mishap = (): Mishap => ({ when: 'before', error: new DeliveryFailed('retry', 'ratelimited', 5000) })
    starting(vendor.find)
    await world.ask('alice', ['dba'])
    await until('an answer', async () => (await notify.rows()).some((row) => row.failure === 'ratelimited'))
    expect((await notify.rows()).map((row) => [row.leased_by, row.unknown_since])).toEqual([
      [null, null],
      [null, null],
    ])
    vendor.mishap = () => null
    await passing('the request')
    expect(vendor.searches).toBe(0)
  })

  test('is looked for, and loses its buttons, when nobody needs to be told any more', async () => {
    await notify.integration('chat', [{ reviewers: true }])
    await notify.link('chat', 'bob')
    vendor.mishap = unsure
    starting(vendor.find)
    const { id } = await world.ask('alice', ['dba'])
    await until('a first attempt', () => vendor.requestsAt('bob').length === 1)
    vendor.mishap = () => null
    await world.approve('bob', id)
    await passing('the decision')
    expect(vendor.requestsAt('bob').map(lastShown)).toEqual(['approved'])
  })
})
