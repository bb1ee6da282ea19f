import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { BEAT_MS, type ControlPlane, type WorkerSettings } from '../connection/control-plane.ts'
import { WorkerShare } from '../connection/worker-share.ts'
import {
  serveControlPlane,
  type Listen,
  type Port,
  type Ports,
  type ToControl,
  type ToWorker,
} from '../connection/control-plane-ipc.ts'
import { sleep, type Clock, type Timer } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Cancelled } from './cancel-elsewhere.ts'

/**
 * The first is for foundation/buffer-garbage.ts. The second, in MiB: a relay's garbage lives for one message, and what the
 * young generation may take is taken for good by a rush of new sessions.
 */
const COLLECTOR = ['--expose-gc', '--max-semi-space-size=2']
const RESTART_FIRST_MS = 200
const RESTART_LONGEST_MS = 10_000
/** In place of a worker's id, which begin with 1 */
const ANOTHER_DAEMON = 0
/** Longer than a server needs to be told */
const CANCEL_PATIENCE_MS = 3_000
const MOST_CANCELLING = 256

export interface RelayWorkersOptions {
  /** File that runs a worker when its first argument is `relay-worker` */
  readonly entry: string
  readonly count: number
  readonly logLevel: string
  readonly listen: Listen
  readonly settings: () => WorkerSettings
  readonly control: ControlPlane
  /** Asks the other daemons. True: one of them has told the server. */
  readonly cancelElsewhere: (digest: string) => Promise<Cancelled>
  /** Closes what a worker that died left open. */
  readonly closeOrphan: (sessionId: string) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

interface RunningWorker {
  readonly worker: Worker
  readonly share: WorkerShare
  readonly startedAt: number
  /** What it was told to listen on; 0: any port. Null: nothing yet */
  asked: Ports | null
  listens: boolean
}

/** Keeps the relay workers running. They share one listening socket; a crash costs only the sessions of its worker. */
export class RelayWorkers {
  readonly #options: RelayWorkersOptions
  readonly #running = new Map<number, RunningWorker>()
  /** Cancel requests of other daemons that our workers were asked about */
  readonly #cancelling = new Map<number, (said: Cancelled) => void>()
  #nextCancel = 1
  #beat: Timer | null = null
  /** Known once the first worker listens: where port 0 was asked for, it stays what it was */
  #ports: Ports
  #stopping = false
  #crashes = 0

  constructor(options: RelayWorkersOptions) {
    this.#options = options
    this.#ports = { shared: options.listen.shared.port, mysql: options.listen.mysql?.port ?? null }
    // The kernel spreads connections over the workers: this process never touches one.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    cluster.setupPrimary({
      exec: options.entry,
      args: ['relay-worker', options.logLevel],
      execArgv: [...process.execArgv, ...COLLECTOR],
      serialization: 'advanced',
    })
  }

  /** Resolves with the ports once every worker listens. */
  async start(): Promise<Ports> {
    const ports = await Promise.all(Array.from({ length: this.#options.count }, () => this.#fork()))
    this.#sendBeats()
    return ports[0] ?? this.#ports
  }

  /** Live sessions are told and closed within `graceMs`; resolves when every worker has gone. */
  async stop(text: string, graceMs: number): Promise<void> {
    this.#stopping = true
    this.#beat?.cancel()
    const gone = [...this.#running.values()].map(async ({ worker }) => {
      const exited = once(worker.process, 'exit')
      this.#send(worker, { kind: 'stop', text, graceMs })
      const late = this.#options.clock.after(graceMs + 2000, () => worker.process.kill('SIGKILL'))
      await exited
      late.cancel()
    })
    await Promise.all(gone)
  }

  /** For another daemon, whose client has this key: what the worker says that has its session, if one of ours does. */
  cancel(digest: string): Promise<Cancelled> {
    if (this.#cancelling.size >= MOST_CANCELLING) return Promise.resolve(null)
    const id = this.#nextCancel++
    return new Promise((resolve) => {
      const done = (said: Cancelled): void => {
        late.cancel()
        this.#cancelling.delete(id)
        resolve(said)
      }
      const late = this.#options.clock.after(CANCEL_PATIENCE_MS, () => done(null))
      this.#cancelling.set(id, done)
      for (const { worker } of this.#running.values())
        this.#send(worker, { kind: 'cancel', id, from: ANOTHER_DAEMON, digest })
    })
  }

  refreshSettings(): void {
    for (const running of this.#running.values()) this.#sendSettings(running)
  }

  pids(): readonly number[] {
    return [...this.#running.values()].flatMap(({ worker }) => worker.process.pid ?? [])
  }

  #fork(): Promise<Ports> {
    const worker = cluster.fork()
    const share = new WorkerShare(this.#options.control, (id) => this.#closeOrphan(id))
    const startedAt = this.#options.clock.monotonic()
    const running: RunningWorker = { worker, share, startedAt, asked: null, listens: false }
    this.#running.set(worker.id, running)
    const messages = new Set<(message: ToControl) => void>()
    const port: Port<ToWorker, ToControl> = {
      send: (message) => this.#send(worker, message),
      onMessage: (handler) => void messages.add(handler),
      onClose: (handler) => void worker.once('exit', handler),
    }
    serveControlPlane(port, share)
    worker.once('exit', (code, signal) => this.#onExit(running, code, signal))
    return new Promise((resolve, reject) => {
      worker.once('exit', (code) => reject(new Error(`a relay worker ended at its start with code ${code}`)))
      worker.on('message', (message: ToControl) => {
        if (message.kind === 'ready') this.#sendSettings(running)
        if (message.kind === 'listening') {
          running.listens = true
          this.#ports = message.ports
          resolve(message.ports)
        }
        if (message.kind === 'cancel') this.#askOthers(running, message)
        if (message.kind === 'cancelled') this.#answerCancel(message)
        for (const handler of messages) handler(message)
      })
    })
  }

  /** Which worker gave a key out is not written on it: each has a share of the connections, and is asked. */
  #askOthers({ worker: asking }: RunningWorker, { id, digest }: Extract<ToControl, { kind: 'cancel' }>): void {
    for (const { worker } of this.#running.values()) {
      if (worker !== asking) this.#send(worker, { kind: 'cancel', id, from: asking.id, digest })
    }
    void this.#options.cancelElsewhere(digest).then((said) => {
      if (said !== null) this.#send(asking, { kind: 'cancelled', id, said })
    })
  }

  #answerCancel({ id, from, said }: Extract<ToControl, { kind: 'cancelled' }>): void {
    const asking = this.#running.get(from)
    if (asking) this.#send(asking.worker, { kind: 'cancelled', id, said })
    else if (from === ANOTHER_DAEMON) this.#cancelling.get(id)?.(said)
  }

  #onExit(running: RunningWorker, code: number | null, signal: string | null): void {
    const { log, clock } = this.#options
    this.#running.delete(running.worker.id)
    running.share.gone()
    if (this.#stopping) return
    log.error({ code, signal, sessions: running.share.size }, 'a relay worker died; its sessions are over')
    const longRun = clock.monotonic() - running.startedAt > 60_000
    this.#crashes = longRun ? 0 : this.#crashes + 1
    const wait = Math.min(RESTART_FIRST_MS * 2 ** this.#crashes, RESTART_LONGEST_MS)
    void sleep(clock, wait).then(() => {
      if (!this.#stopping)
        this.#fork().catch((error: unknown) => log.error({ err: String(error) }, 'no new relay worker'))
    })
  }

  #closeOrphan(sessionId: string): void {
    const { log, closeOrphan } = this.#options
    closeOrphan(sessionId).catch((error: unknown) =>
      log.error({ session: sessionId, err: String(error) }, 'orphan session not closed'),
    )
  }

  #sendSettings(running: RunningWorker): void {
    running.asked ??= this.#portsToAsk()
    const { shared, mysql } = this.#options.listen
    const listen: Listen = {
      shared: { host: shared.host, port: running.asked.shared },
      mysql: mysql && { host: mysql.host, port: running.asked.mysql ?? mysql.port },
    }
    this.#send(running.worker, { kind: 'settings', settings: this.#options.settings(), listen })
  }

  /** Workers share a socket when they ask for the same port, 0 included; the last of them takes it along. */
  #portsToAsk(): Ports {
    const other = [...this.#running.values()].find(({ listens }) => listens)
    return other?.asked ?? this.#ports
  }

  #sendBeats(): void {
    this.#beat = this.#options.clock.after(BEAT_MS, () => {
      for (const { worker } of this.#running.values()) this.#send(worker, { kind: 'beat' })
      this.#sendBeats()
    })
  }

  #send(worker: Worker, message: ToWorker): void {
    if (worker.isConnected())
      worker.send(message, (error) => error && this.#options.log.debug({ err: error.message }, 'worker gone'))
  }
}
