// The real daemon (from its bundle), a stock sshd behind it and accounts with stock ssh before it, made to be broken: each
// process can be killed, stopped and started again, and its folders may lie on small file systems.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { openProfiles } from '../../src/cli/shared/profile.ts'
import { proxyTransport } from '../../src/cli/shared/proxy-transport.ts'
import { socketTransport } from '../../src/cli/shared/socket-transport.ts'
import { createClient, type Client } from '../../src/contract/client.ts'
import { PlayedRecord } from '../../src/contract/recording.ts'
import { layoutOf, type Layout } from '../../src/main/demo/layout.ts'
import { enrol, type Person } from '../../src/main/demo/people.ts'
import { bundledPrograms, type Programs } from '../../src/main/demo/wrappers.ts'
import { freePort } from './free-port.ts'
import { run, start, type Finished, type RunningProgram } from './run.ts'
import { startSshd, type Sshd } from './sshd.ts'
import { tempFolder, type TempFolder } from './temp-folder.ts'
import { until } from './until.ts'

export const NODE = 'box'
const CHECKOUT = new URL('../..', import.meta.url).pathname

export interface FaultHouseOptions {
  /** More lines of configuration */
  readonly config?: readonly string[]
  /** Environment of the daemon, besides PATH */
  readonly env?: Readonly<Record<string, string>>
  /** Options of the role that lets alice in */
  readonly roleOptions?: Readonly<Record<string, unknown>>
  /** Before the daemon starts for the first time: mounts, usually */
  readonly prepare?: (layout: Layout) => void
  /** bob too: he reviews what alice asks for, the role `dba`, by which she reaches the node `vault` */
  readonly reviewer?: boolean
}

/** `engineer` reaches `box` and may ask for `dba`, which reaches `vault`; both nodes are the same sshd. */
export class FaultHouse {
  readonly layout: Layout
  readonly programs: Programs = bundledPrograms(CHECKOUT)
  readonly port: number
  sshd!: Sshd
  #options: FaultHouseOptions
  #folder: TempFolder
  #child: ChildProcess | null = null
  #undo: (() => void)[] = []

  private constructor(folder: TempFolder, port: number, options: FaultHouseOptions) {
    this.#folder = folder
    this.#options = options
    this.layout = layoutOf(folder.path)
    this.port = port
  }

  static async start(options: FaultHouseOptions = {}): Promise<FaultHouse> {
    buildPrograms()
    const house = new FaultHouse(tempFolder('faults'), await freePort(), options)
    try {
      options.prepare?.(house.layout)
      house.#writeConfig()
      await house.startDaemon()
      await house.#furnish()
      return house
    } catch (error) {
      const log = house.daemonLog()
      await house.stop()
      throw new Error(`the house could not be built: ${String(error)}\n${log.slice(-2000)}`, { cause: error })
    }
  }

  /** Runs at the end, after the daemon has gone; the last one first. */
  undoLater(step: () => void): void {
    this.#undo.push(step)
  }

  async stop(): Promise<void> {
    await this.stopDaemon()
    await this.sshd?.stop()
    for (const step of this.#undo.splice(0).toReversed()) step()
    this.#folder[Symbol.dispose]()
  }

  /** Starts the control process over what is there; it is ready when the call resolves. */
  async startDaemon(env: Readonly<Record<string, string>> = this.#options.env ?? {}): Promise<void> {
    const log = openSync(this.layout.daemonLog, 'a', 0o600)
    const [program, ...args] = this.programs.sallyport
    const child = spawn(program, [...args, 'start', `--config=${this.layout.configFile}`], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    const before = this.#readyLines()
    await until('the daemon to be ready', () => {
      if (child.exitCode !== null)
        throw new Error(`the daemon ended with ${child.exitCode}\n${this.daemonLog().slice(-1500)}`)
      return this.#readyLines() > before
    })
  }

  /** SIGTERM, and SIGKILL when it takes long. */
  async stopDaemon(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(late)
  }

  /** SIGKILL to the control process, at this instant. */
  async killControl(): Promise<void> {
    const child = this.#child
    if (!child) throw new Error('no daemon runs')
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  get controlPid(): number {
    return this.#child?.pid ?? 0
  }

  /** Relay workers of the running control process. */
  workerPids(): readonly number[] {
    const pid = this.controlPid
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
  }

  /** JSON lines of every daemon so far. */
  daemonLog(): string {
    try {
      return readFileSync(this.layout.daemonLog, 'utf8')
    } catch {
      return ''
    }
  }

  /** The local admin. A connection of its own, since daemons come and go. */
  async admin<T>(work: (api: Client) => Promise<T>): Promise<T> {
    const open = socketTransport(this.layout.adminSocket)
    try {
      return await work(createClient(open.transport))
    } finally {
      open.close()
    }
  }

  /** Somebody signed in, over TLS through the relay worker. */
  async as<T>(account: string, work: (api: Client) => Promise<T>): Promise<T> {
    const profile = await openProfiles(this.layout.account(account).home).load()
    if (!profile?.account) throw new Error(`${account} is not signed in`)
    const open = proxyTransport(profile.proxy)
    try {
      return await work(createClient(open.transport, { token: profile.account.token }))
    } finally {
      open.close()
    }
  }

  sshArgs(account = 'alice'): readonly string[] {
    return ['-F', join(this.layout.account(account).home, 'ssh_config')]
  }

  /** Stock ssh with pipes, left running. */
  ssh(args: readonly string[], account = 'alice'): RunningProgram {
    return start('ssh', [...this.sshArgs(account), ...args], { env: { SSH_AUTH_SOCK: undefined } })
  }

  /** Stock ssh, to its end. */
  runSsh(args: readonly string[], input?: string): Promise<Finished> {
    return run('ssh', [...this.sshArgs(), ...args], {
      env: { SSH_AUTH_SOCK: undefined },
      ...(input === undefined ? {} : { input }),
    })
  }

  sallyctl(...args: readonly string[]): Promise<Finished> {
    const [program, ...before] = this.programs.sallyctl
    return run(program, [...before, ...args], { env: { SALLYPORT_SOCKET: this.layout.adminSocket }, timeout: 120_000 })
  }

  /** What `sallyctl audit verify` found wrong, and whether the head is vouched for from outside. */
  async verified(): Promise<{ readonly problems: readonly unknown[]; readonly anchored: boolean }> {
    const verdict = await this.admin((api) => api.verifyAudit({}))
    return { problems: verdict.problems, anchored: verdict.anchored }
  }

  /** What a session's recording holds, as its user plays it. */
  async played(sessionId: string, account = 'alice'): Promise<PlayedRecord[]> {
    return this.as(account, async (api) => {
      const records: PlayedRecord[] = []
      for await (const line of api.playSession({ params: { id: sessionId } })) records.push(PlayedRecord.parse(line))
      return records
    })
  }

  #readyLines(): number {
    return this.daemonLog().split('"msg":"ready"').length
  }

  #writeConfig(): void {
    const lines = [
      `data_dir: ${this.layout.dataFolder}`,
      `listen: 127.0.0.1:${this.port}`,
      ...(this.#options.config ?? []),
    ]
    writeFileSync(this.layout.configFile, `${lines.join('\n')}\n`)
  }

  async #furnish(): Promise<void> {
    const { items } = await this.admin((api) => api.listAuthorities({}))
    const onward = items.find((authority) => authority.kind === 'onward-ssh' && authority.state === 'active')
    if (!onward) throw new Error('the daemon names no onward-ssh authority')
    // At DEBUG1 sshd writes to the stderr of what it starts.
    this.sshd = await startSshd({ config: ['LogLevel VERBOSE'], userAuthorities: [onward.public] })
    for (const document of documents(this.sshd, this.#options.roleOptions ?? {}))
      await this.admin((api) => api.createDocument({ body: { document } }))
    const people: Person[] = [{ name: 'alice', roles: ['engineer'], traits: {} }]
    if (this.#options.reviewer === true) people.push({ name: 'bob', roles: ['reviewer'], traits: {} })
    for (const person of people) await this.admin((api) => enrol(person, this.layout, this.programs, api))
  }
}

function documents(sshd: Sshd, options: Readonly<Record<string, unknown>>): unknown[] {
  const login = userInfo().username
  const role = (name: string, spec: unknown): unknown => ({ kind: 'role', version: 'v1', metadata: { name }, spec })
  const node = (name: string, env: string): unknown => ({
    kind: 'node',
    version: 'v1',
    metadata: { name, labels: { env } },
    spec: { address: `127.0.0.1:${sshd.port}`, host_key: sshd.hostPublicKey.split(' ').slice(0, 2).join(' ') },
  })
  const thresholds = [{ name: 'one', approve: 1, deny: 1 }]
  return [
    role('engineer', {
      options,
      allow: {
        logins: [login],
        node_labels: { env: 'dev' },
        request: { roles: ['dba'], max_duration: '4h', thresholds },
      },
    }),
    role('dba', { allow: { logins: [login], node_labels: { env: 'prod' } } }),
    role('reviewer', { allow: { review_requests: { roles: ['dba'] } } }),
    role('idle', { allow: {} }),
    node(NODE, 'dev'),
    node('vault', 'prod'),
  ]
}

/** A tmpfs of so many bytes (`4m`). Says what is missing where mounting is not permitted. */
export function mountSmall(path: string, size: string): () => void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path], { stdio: 'pipe' })
  } catch (error) {
    throw new Error(
      `this test mounts a small tmpfs, which needs root with CAP_SYS_ADMIN (and the package mount): ${String(error)}`,
      { cause: error },
    )
  }
  return () => void execFileSync('umount', ['-l', path])
}

let built = false

/** The bundles in dist/, made anew when a source is newer. */
function buildPrograms(): void {
  if (built) return
  execFileSync('bash', ['-c', '. script/lib.sh && build_programs'], { cwd: CHECKOUT, stdio: 'pipe' })
  built = true
}
