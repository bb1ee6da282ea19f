import { setTimeout as pause } from 'node:timers/promises'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { until } from '../../test/support/until.ts'
import type { FakeMessage } from '../../test/support/slack/fake-workspace.ts'
import type { BenchOptions } from '../bench.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { openNotifyHouse, type NotifyHouse } from './notify-house.ts'

const CLICKS_PER_SECOND = 50
const REVIEWERS = 250
const CHANNELS = { r0: 'C0R0', r1: 'C0R1', r2: 'C0R2', r3: 'C0R3' } as const

export async function benchNotify({ quick, progress }: BenchOptions): Promise<readonly Row[]> {
  progress('clicks: 50 a second, against a store that syncs')
  const clicks = await measureClicks(quick ? 100 : 500)
  progress('an outage: 1,000 pending requests, then the vendor is back with its limits')
  const outage = await measureOutage(quick ? 100 : 1000)
  progress('a store that stalls for longer than the vendor waits')
  const stall = await measureStall(quick ? 10 : 50)
  return [...clicks, ...outage, ...stall]
}

/** The value that 99 of 100 do not exceed. */
function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.NaN
}

/**
 * A click on Approve opens the dialog; sending it decides. From the click and from the sending until each is answered, which is after
 * the decision's commit; messages are changed meanwhile. What the person types in between is not in it.
 */
async function measureClicks(count: number): Promise<Row[]> {
  const house = await openNotifyHouse({
    ...{
      mode: 'http',
      clock: systemClock,
      paced: false,
      roles: { r0: 'C0R0' },
      reviewers: REVIEWERS,
      askers: Math.ceil(count / 18),
    },
  })
  try {
    await house.ask('r0', count)
    await house.quiet()
    const busy = new Map<string, Promise<unknown>>()
    const messages = house.slack.workspace.messages.filter((message) => message.thread === null)
    const acks: number[] = []
    const decisions: number[] = []
    const started = performance.now()
    const cpu = process.cpuUsage()
    await Promise.all(
      messages.map(async (message, index) => {
        await pause(Math.max(0, started + (index * 1000) / CLICKS_PER_SECOND - performance.now()))
        const user = `U0R${index % REVIEWERS}`
        // Nobody has two dialogs open.
        const click = (busy.get(user) ?? Promise.resolve()).then(async () => {
          const opened = await openDialog(house, user, message)
          const sent = performance.now()
          await house.slack.submit(user, {})
          const decided = performance.now() - sent
          acks.push(opened, decided)
          decisions.push(opened + decided)
        })
        busy.set(user, click)
        await click
      }),
    )
    const used = process.cpuUsage(cpu)
    await requireAllDecided(house, count)
    const about = { peer: 'limit', unit: 'ms', better: 'lower', goal: 1 } as const
    // One core has 20 ms for each of 50 a second; the stand-in's own part is in it.
    const cost = (used.user + used.system) / 1000 / count
    return [
      compare({ case: 'CPU time of a click, all in all', ...about, ours: [cost], theirs: 1000 / CLICKS_PER_SECOND }),
      compare({ case: 'click to decision, p99 of 50/s', ...about, ours: [p99(decisions)], theirs: 250 }),
      compare({ case: 'acknowledgement of a callback, p99', ...about, ours: [p99(acks)], theirs: 500 }),
    ]
  } finally {
    await house.close()
  }
}

/** Milliseconds until the click was answered. A dialog whose trigger ran out on the way is asked for again, as people do. */
async function openDialog({ slack }: NotifyHouse, user: string, message: FakeMessage): Promise<number> {
  const opened = (): number => slack.workspace.opened.filter((each) => each.user === user).length
  for (;;) {
    const before = opened()
    const pressed = performance.now()
    await slack.press(user, message, 'Approve')
    const answered = performance.now() - pressed
    try {
      await until('the dialog', () => opened() > before, { every: 5, within: 4000 })
      return answered
    } catch {
      // Slack said that it was too late.
    }
  }
}

async function requireAllDecided({ world }: NotifyHouse, count: number): Promise<void> {
  const { reads } = world.database
  const rows = await reads.selectFrom('access_requests').select('id').where('state', '=', 'approved').execute()
  const votes = await reads.selectFrom('reviews').select('id').execute()
  if (rows.length !== count || votes.length !== count)
    throw new Error(`${rows.length} of ${count} requests are approved, by ${votes.length} votes`)
}

/** Everything goes `times` faster: minutes of a vendor's limits in seconds. */
function fastClock(times: number): Clock {
  const began = systemClock.now()
  const from = systemClock.monotonic()
  const passed = (): number => (systemClock.monotonic() - from) * times
  return {
    now: () => Math.floor(began + passed()),
    monotonic: passed,
    after: (ms, work) => systemClock.after(ms / times, work),
  }
}

/** One message a second for each of four channels: what the vendor lets through is the measure. */
async function measureOutage(count: number): Promise<Row[]> {
  // No faster: the engine gives a vendor twenty seconds, which this machine must keep as well.
  const clock = fastClock(4)
  const house = await openNotifyHouse({
    ...{ mode: 'http', clock, paced: true, roles: CHANNELS, reviewers: 2, askers: Math.ceil(count / 18) + 1 },
  })
  const { slack } = house
  try {
    slack.api.breakWith({ status: 503, body: {} })
    for (let left = count; left > 0; left -= 4)
      for (const role of Object.keys(CHANNELS).slice(0, Math.min(4, left))) await house.ask(role, 1)
    slack.api.breakWith(null)
    slack.api.rates = true
    const began = clock.now()
    const before = slack.api.calls.length
    await house.quiet()
    const seconds = (clock.now() - began) / 1000
    const refused = slack.api.calls.slice(before).filter(({ result }) => result === 'ratelimited').length
    const posted = slack.workspace.messages.filter((message) => message.thread === null).length
    const about = { peer: 'limit', better: 'lower' } as const
    const name = `${count} pending requests after an outage`
    return [
      compare({ ...about, case: `${name}: messages`, unit: '', goal: 1, ours: [posted], theirs: count }),
      compare({
        ...about,
        case: `${name}: time by its limits`,
        unit: 's',
        goal: 2,
        ours: [seconds],
        theirs: count / 4,
      }),
      compare({ ...about, case: `${name}: calls it refused`, unit: '', goal: 0, ours: [refused], theirs: count }),
    ]
  } finally {
    await house.close()
  }
}

/** Slack waits three seconds for a socket's answer and sends again; the store answers nobody for five. */
async function measureStall(count: number): Promise<Row[]> {
  const house = await openNotifyHouse({
    ...{
      mode: 'socket',
      clock: systemClock,
      paced: false,
      roles: { r0: 'C0R0' },
      reviewers: count,
      askers: Math.ceil(count / 18),
    },
  })
  const { world, slack } = house
  try {
    await house.ask('r0', count)
    await house.quiet()
    const messages = slack.workspace.messages.filter((message) => message.thread === null)
    for (const [index, message] of messages.entries()) {
      await openDialog(house, `U0R${index}`, message)
    }
    const stalled = world.database.transact(() => pause(5000))
    const sent = messages.map((_, index) => slack.submit(`U0R${index}`, {}))
    await Promise.allSettled([stalled, ...sent])
    await until('all decisions', () =>
      requireAllDecided(house, count).then(
        () => true,
        () => false,
      ),
    )
    await house.quiet()
    const votes = await world.database.reads.selectFrom('reviews').select('id').execute()
    const about = { peer: 'limit', unit: 'votes', better: 'lower', goal: 1 } as const
    return [compare({ ...about, case: 'votes sent while the store stalls 5 s', ours: [votes.length], theirs: count })]
  } finally {
    await house.close()
  }
}
