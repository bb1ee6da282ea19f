import type {
  ClaimedMessage,
  DeliveryResult,
  DeliveryVerdict,
  LaneKind,
  LostMessage,
} from '../../contract/notify-plane.ts'
import type { MessageTask } from '../../contract/message.ts'
import type { Clock } from '../../foundation/clock.ts'
import { guardChannel } from '../channel-guard.ts'
import { DeliveryFailed, type Connector } from '../connector.ts'
import { verdictOf } from './verdict.ts'

/** Together well below a lease: who has a message has given up before another daemon takes it. */
const LOOK_MS = 15_000
const SEND_MS = 20_000
/** A vendor's clock and ours may differ by so much */
const CLOCKS_DIFFER_MS = 5 * 60_000
/** What the vendor may still be taking in is not looked for before */
const UNSURE_WAIT_MS = 5000

export interface Attempt {
  readonly result: Pick<DeliveryResult, 'verdict' | 'found' | 'unknownSince'>
  /** Whether the vendor gave any answer */
  readonly answered: boolean
}

export interface AttemptParts {
  readonly connector: Connector
  readonly clock: Clock
  /** In [0, 1) */
  readonly random: number
  /** A call of this kind is made now */
  readonly calls: (kind: LaneKind) => void
  /** The vendor wants no more calls like the last one. False: of no kind */
  readonly waits: (verdict: Extract<DeliveryVerdict, { kind: 'later' }>) => boolean
}

/** One attempt: looks for what an earlier one may have left, and sends or changes the message. Never throws. */
export async function attempt(parts: AttemptParts, claimed: ClaimedMessage): Promise<Attempt> {
  const { task, lost } = claimed
  const looked = lost === null ? NOT_LOOKED : await look(parts, task, lost)
  if ('error' in looked) return ended(parts, task, looked.error, { found: null, unknownSince: lost?.since ?? null })
  const { external, blind } = looked
  const unsaid = external !== null ? 'send' : blind ? lost?.blind : lost?.absent
  // Nobody looks again: what is given up here is left to whoever presses a button of it.
  if (lost && unsaid === 'drop') return unsent({ kind: 'drop', why: lost.why })
  const before = blind ? (lost?.since ?? null) : null
  return await send(parts, { ...claimed, task: { ...task, external: task.external ?? external } }, external, before)
}

interface Looked {
  readonly external: string | null
  /** It could not be looked for */
  readonly blind: boolean
}
const NOT_LOOKED: Looked = { external: null, blind: false }

async function look(
  { connector, clock, calls }: AttemptParts,
  task: MessageTask,
  lost: LostMessage,
): Promise<Looked | { error: unknown }> {
  if (!connector.find) return { external: null, blind: true }
  const since = lost.since - CLOCKS_DIFFER_MS
  calls('look')
  try {
    const external = await timed(clock, LOOK_MS, async (signal) => {
      return (await connector.find?.(task, since, signal)) ?? null
    })
    return { external: external?.slice(0, MOST_EXTERNAL) ?? null, blind: false }
  } catch (error) {
    const isBlind = error instanceof DeliveryFailed && error.kind !== 'retry'
    return isBlind ? { external: null, blind: true } : { error }
  }
}

const MOST_EXTERNAL = 1024

async function send(
  parts: AttemptParts,
  { task, claimedAt }: ClaimedMessage,
  found: string | null,
  unknownBefore: number | null,
): Promise<Attempt> {
  parts.calls(task.external === null ? 'new' : 'change')
  try {
    const external = await timed(parts.clock, SEND_MS, async (signal) => {
      await guardChannel(parts.connector, task, signal)
      return await parts.connector.deliver(task, signal)
    })
    const verdict = { kind: 'delivered', external: external.slice(0, MOST_EXTERNAL) } as const
    return { result: { verdict, found, unknownSince: null }, answered: true }
  } catch (error) {
    const unsure = task.external === null && mayBeTaken(error)
    return ended(parts, task, error, { found, unknownSince: unknownBefore ?? (unsure ? claimedAt : null) }, unsure)
  }
}

const mayBeTaken = (error: unknown): boolean => !(error instanceof DeliveryFailed) || error.taken === 'unknown'

function ended(
  { connector, random, waits }: AttemptParts,
  task: MessageTask,
  error: unknown,
  fate: { readonly found: string | null; readonly unknownSince: number | null },
  unsure = false,
): Attempt {
  const verdict = verdictOf(error, connector.vendor, task.attempt, random)
  if (verdict.kind !== 'later') return { result: { verdict, ...fate }, answered: true }
  if (verdict.asked) {
    const hold = verdict.hold || !waits(verdict)
    return { result: { verdict: { ...verdict, hold }, ...fate }, answered: true }
  }
  const afterMs = unsure && connector.find ? Math.max(verdict.afterMs, UNSURE_WAIT_MS) : verdict.afterMs
  return { result: { verdict: { ...verdict, afterMs }, ...fate }, answered: false }
}

const unsent = (verdict: DeliveryVerdict): Attempt => ({
  result: { verdict, found: null, unknownSince: null },
  answered: true,
})

/** A connector that does not hear the signal does not hold up the others. */
async function timed<T>(clock: Clock, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController()
  const timer = clock.after(ms, () => deadline.abort(new DeliveryFailed('retry', 'the vendor did not answer')))
  const { signal } = deadline
  try {
    return await new Promise<T>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      work(signal).then(resolve, reject)
    })
  } finally {
    timer.cancel()
  }
}
