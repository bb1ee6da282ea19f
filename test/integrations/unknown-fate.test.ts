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
})
