import { execFile } from 'node:child_process'
import type { DeedLog } from '../audit/deed.ts'
import { Verification } from '../contract/audit.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'
import type { Log } from '../foundation/log.ts'

const EVERY_MS = 3_600_000
/** After the start: first the daemon is ready, then it looks back. */
const FIRST_MS = 2_000
const MOST_OUTPUT = 64 * 1024 * 1024

/** What the process that verifies is told, on its stdin: others see the arguments of a process. */
export interface VerifyOrder {
  /** The file; with `postgres` a name for people */
  readonly database: string
  readonly postgres: PostgresSettings | null
  /** Checkpoint keys, SPKI PEM: those this daemon holds in memory */
  readonly trusted: readonly string[]
  readonly outside: string
  readonly recordingsDir: string
}

export interface StoreVerifierParts {
  /** File that verifies when its first argument is `verify-store` */
  readonly entry: string
  readonly order: () => VerifyOrder
  readonly deeds: DeedLog
  readonly clock: Clock
  readonly log: Log
}

/** Verifies the store in a process of its own, so that a long log never stalls a decision; by itself at start and each hour. */
export class StoreVerifier {
  readonly #parts: StoreVerifierParts
  readonly #stopping = new AbortController()
  #timer: Timer | null = null

  constructor(parts: StoreVerifierParts) {
    this.#parts = parts
  }

  start(wait = FIRST_MS): void {
    this.#timer = this.#parts.clock.after(wait, () => {
      void this.#look().finally(() => {
        if (!this.#stopping.signal.aborted) this.start(EVERY_MS)
      })
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#stopping.abort(new Error('the daemon is stopping'))
  }

  async verify(signal: AbortSignal): Promise<Verification> {
    const { entry, order } = this.#parts
    const args = [entry, 'verify-store']
    const either = AbortSignal.any([signal, this.#stopping.signal])
    const text = await new Promise<string>((resolve, reject) => {
      const child = execFile(
        process.execPath,
        args,
        { signal: either, maxBuffer: MOST_OUTPUT },
        (error, stdout, stderr) => {
          if (error) reject(new Error(stderr.trim() === '' ? error.message : stderr.trim(), { cause: error }))
          else resolve(stdout)
        },
      )
      child.stdin?.on('error', () => {})
      child.stdin?.end(JSON.stringify(order()))
    })
    return Verification.parse(JSON.parse(text))
  }

  async #look(): Promise<void> {
    const { deeds, log } = this.#parts
    try {
      const found = await this.verify(this.#stopping.signal)
      const [first] = found.problems
      if (!first) {
        log.info({ events: found.events, rows: found.rows, anchored: found.anchored }, 'the store was verified')
        return
      }
      log.error({ problems: found.problems.length, first }, 'the store was altered; run: sallyctl audit verify')
      const details = { problems: found.problems.length, first }
      const actor = { kind: 'system', id: null, name: 'sallyport' } as const
      await deeds.commitDeed(() =>
        Promise.resolve({
          result: null,
          events: [{ type: 'audit.verify_failed', actor, outcome: 'failure', details }],
        }),
      )
    } catch (error) {
      if (!this.#stopping.signal.aborted) log.error({ err: String(error) }, 'the store could not be verified')
    }
  }
}
