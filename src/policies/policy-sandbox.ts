import { spawn, type ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { z } from 'zod'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import { frame, FrameReader } from './sandbox/frames.ts'
import { CompiledAnswer, LoadedAnswer, READY, RunAnswer, type Order } from './sandbox/orders.ts'

/** From outside: the sandbox stops itself at 50 ms of processor time, where the interpreter can be stopped. */
const KILL_AFTER_MS = 250
/** Node's type stripper is loaded at the first. */
const COMPILE_KILL_AFTER_MS = 20_000
const START_WITHIN_MS = 20_000
/** Orders that wait for their turn; a policy that loops must not gather the whole day's requests. */
const MOST_WAITING = 200

export interface SandboxParts {
  /** File that is the sandbox when Node runs it */
  readonly entry: string
  readonly clock: Clock
  readonly log: Log
  readonly killAfterMs?: number
}

/** JavaScript of a policy and of what it imports. */
export interface CompiledPolicy {
  readonly modules: Readonly<Record<string, string>>
  readonly verdicts: readonly string[] | null
  readonly zone: string | null
}

type Failed = { readonly ok: false; readonly problem: string }

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never

interface Running {
  readonly process: ChildProcess
  readonly pipe: Duplex
  /** Hashes that it has */
  readonly loaded: Set<string>
  readonly ready: Promise<void>
  /** Takes the next answer */
  waiting: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void } | null
}

/**
 * Keeps one process for policies warm. It has an empty environment and one pipe and is given one order at a time; when it
 * dies, or is killed for taking too long, the order has failed and the next one finds a new process.
 */
export class PolicySandbox {
  readonly #parts: SandboxParts
  #running: Running | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #lastId = 0
  #stopped = false

  constructor(parts: SandboxParts) {
    this.#parts = parts
  }

  /** Strips the types of the sources, and finds out what the entry imports and exports. `problem` begins with `file:line:`. */
  compile(
    entry: string,
    sources: Readonly<Record<string, string>>,
  ): Promise<({ readonly ok: true } & CompiledPolicy) | Failed> {
    return this.#inTurn(() =>
      this.#order({ kind: 'compile', entry, sources: { ...sources } }, CompiledAnswer, COMPILE_KILL_AFTER_MS),
    )
  }

  /** The answer is JSON, and what it says is not checked. */
  run(
    hash: string,
    entry: string,
    modules: Readonly<Record<string, string>>,
    facts: string,
  ): Promise<{ readonly ok: true; readonly answer: string } | Failed> {
    return this.#inTurn(async () => {
      if (this.#running?.loaded.has(hash) !== true) {
        await this.#order({ kind: 'load', hash, entry, modules: { ...modules } }, LoadedAnswer, START_WITHIN_MS)
        this.#running?.loaded.add(hash)
      }
      return this.#order({ kind: 'run', hash, facts }, RunAnswer, this.#parts.killAfterMs ?? KILL_AFTER_MS)
    })
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#running?.process.pid
  }

  stop(): void {
    this.#stopped = true
    this.#end('the sandbox is stopped')
  }

  #inTurn<T>(work: () => Promise<T | Failed>): Promise<T | Failed> {
    if (this.#waiting >= MOST_WAITING) return Promise.resolve({ ok: false, problem: 'too many policies are waiting' })
    this.#waiting += 1
    const mine = this.#turn.then(work).catch((error: unknown): Failed => {
      this.#end('an order failed')
      return { ok: false, problem: error instanceof Error ? error.message : String(error) }
    })
    this.#turn = mine.finally(() => {
      this.#waiting -= 1
    })
    return mine
  }

  /** Errors: when the process died, was killed, or answered what it must not. */
  async #order<S extends z.ZodType>(order: Unnumbered<Order>, answer: S, killAfterMs: number): Promise<z.output<S>> {
    const running = await this.#warm()
    const id = ++this.#lastId
    const late = this.#parts.clock.after(killAfterMs, () => this.#end(`it was killed after ${killAfterMs} ms`))
    try {
      const value = await new Promise<unknown>((resolve, reject) => {
        running.waiting = { resolve, reject }
        running.pipe.write(frame({ ...order, id }))
      })
      const parsed = answer.safeParse(value)
      if (!parsed.success || (value as { id?: unknown }).id !== id)
        throw new Error('the sandbox answered something else')
      return parsed.data
    } finally {
      running.waiting = null
      late.cancel()
    }
  }

  async #warm(): Promise<Running> {
    if (this.#stopped) throw new Error('the sandbox is stopped')
    const running = (this.#running ??= this.#start())
    await running.ready
    return running
  }

  #start(): Running {
    const { entry, clock, log } = this.#parts
    // --permission is no wall by itself (it does not stop the network); it takes files, processes and add-ons away besides.
    const options = ['--permission', '--allow-fs-read=*', '--max-old-space-size=128', '--no-warnings']
    const child = spawn(process.execPath, [...options, entry], {
      env: {},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    })
    const pipe = child.stdio[3] as Duplex
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
    const running: Running = { process: child, pipe, loaded: new Set(), ready, waiting: null }
    // Nobody may be waiting for it any more when it fails.
    ready.catch(() => {})
    const late: Timer = clock.after(START_WITHIN_MS, () => this.#end('it did not start'))
    const frames = new FrameReader()
    pipe.on('data', (bytes: Buffer) => {
      try {
        for (const value of frames.read(bytes)) {
          late.cancel()
          if (value === READY) resolve()
          else running.waiting?.resolve(value)
        }
      } catch (error) {
        this.#end(`it sent what cannot be read: ${String(error)}`)
      }
    })
    pipe.on('error', () => {})
    child.on('error', (error) => this.#lost(running, `it cannot be started: ${error.message}`, reject))
    child.once('exit', (code, signal) => {
      late.cancel()
      this.#lost(running, `the sandbox died (${signal ?? String(code)})`, reject)
    })
    log.debug({ pid: child.pid }, 'a sandbox for policies was started')
    return running
  }

  #lost(running: Running, why: string, reject: (error: Error) => void): void {
    if (this.#running === running) this.#running = null
    reject(new Error(why))
    running.waiting?.reject(new Error(why))
  }

  #end(why: string): void {
    const running = this.#running
    if (!running) return
    this.#running = null
    running.waiting?.reject(new Error(why))
    running.process.kill('SIGKILL')
    if (!this.#stopped) this.#parts.log.warn({ pid: running.process.pid, why }, 'the sandbox for policies was ended')
  }
}
