// The real daemon from its bundle, in a folder of its own, with accounts that use the stock programs. For journeys and faults.
//
//   const sallyport = await startSallyport({ config: { shutdown_grace: '2s' } })   // port 0, everything below one temp folder
//   await sallyport.startNode('db-box', { env: 'prod' })       // a stock sshd that trusts the onward authority, and its document
//   await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow: { ... } } })
//   await sallyport.user('alice', ['dba'])                      // prints nothing; signIn accepts the invitation
//   const alice = await sallyport.signIn('alice')               // password, and an authenticator app where one is due
//   await alice.ssh('db-box', 'true')                           // { code, signal, stdout, stderr, bytes }
//   const shell = await alice.terminal('ssh', 'db-box')         // in tmux; `await using` closes it
//   await sallyport.admin('audit', 'verify')                    // sallyctl over the admin socket
//   await sallyport.events({ type: 'session.*' })               // audit events, oldest first
//   await sallyport.kill('SIGKILL'); await sallyport.restart()  // same port, same data
//   await sallyport.stop()                                      // daemon, nodes, terminals, folder; processes by their pid alone
//
// A node says its name in $SALLYPORT_TEST_NODE. The only login on a node is the user that runs the tests (`sallyport.login`).
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { spawn, type ChildProcess } from 'node:child_process'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { z } from 'zod'
import { socketTransport } from '../../src/cli/shared/socket-transport.ts'
import type { OpenTransport } from '../../src/cli/shared/proxy-transport.ts'
import type { AuditEvent } from '../../src/contract/audit.ts'
import { createClient, type CallInput, type Client } from '../../src/contract/client.ts'
import type { RoleDocument } from '../../src/contract/role.ts'
import type { Session } from '../../src/contract/session.ts'
import type { Invitation } from '../../src/contract/user.ts'
import { openAccount, type Account } from './account.ts'
import { builtPrograms, type BuiltPrograms } from './built-programs.ts'
import { run, type Finished } from './run.ts'
import { startSshd, type Sshd, type SshdOptions } from './sshd.ts'
import { tempFolder, type TempFolder } from './temp-folder.ts'
import { until } from './until.ts'

export type { Account } from './account.ts'

export interface SallyportOptions {
  /** More keys of the configuration, as in docs/configuration.md; they replace the ones that are set here. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Put before the command: `['strace', '-f', ...]`. The pid is the daemon's own all the same. */
  readonly wrap?: readonly string[]
  /** Added to the daemon's environment. */
  readonly env?: Readonly<Record<string, string>>
}

export type EventFilter = NonNullable<CallInput<'searchAudit'>['query']>

export interface LogLine {
  readonly level: unknown
  readonly msg: string
  readonly [key: string]: unknown
}

/** How a run of the daemon ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Starts the daemon and waits until it is ready. What was started is stopped again when that fails. */
export async function startSallyport(options: SallyportOptions = {}): Promise<Sallyport> {
  const programs = await builtPrograms()
  const sallyport = new Sallyport(options, programs)
  try {
    await sallyport.restart()
  } catch (error) {
    await sallyport.stop()
    throw error
  }
  return sallyport
}

export class Sallyport implements AsyncDisposable {
  readonly folder: string
  readonly programs: BuiltPrograms
  /** The user that runs the tests: the only login that a node knows. */
  readonly login = userInfo().username
  readonly #temp: TempFolder
  readonly #options: SallyportOptions
  readonly #nodes = new Map<string, Sshd>()
  readonly #invitations = new Map<string, Invitation>()
  readonly #accounts = new Map<string, Account>()
  readonly #strangers: Account[] = []
  #running: Running | null = null
  #admin: OpenTransport | null = null
  #port = 0

  constructor(options: SallyportOptions, programs: BuiltPrograms) {
    this.#options = options
    this.programs = programs
    this.#temp = tempFolder('daemon')
    this.folder = this.#temp.path
  }

  get dataDir(): string {
    return String(this.#options.config?.['data_dir'] ?? join(this.folder, 'data'))
  }
  get database(): string {
    return join(this.dataDir, 'sallyport.db')
  }
  get recordingsDir(): string {
    return String(this.#options.config?.['recordings_dir'] ?? join(this.dataDir, 'recordings'))
  }
  get checkpointFile(): string {
    return String(this.#options.config?.['checkpoint_file'] ?? `${this.dataDir}-checkpoints/checkpoints.jsonl`)
  }
  get adminSocket(): string {
    return join(this.dataDir, 'admin', 'sallyport.sock')
  }
  get configFile(): string {
    return join(this.folder, 'sallyport.yaml')
  }
  get logFile(): string {
    return join(this.folder, 'sallyport.log')
  }
  /** The one port; it stays the same over restarts. */
  get port(): number {
    return this.#port
  }
  /** Of the control process. */
  get pid(): number {
    if (!this.#running) throw new Error('the daemon is not running')
    return this.#running.pid
  }
  /** Of the relay workers that run now (the control process has no other children). */
  workerPids(): readonly number[] {
    return childrenOf(this.pid)
  }

  /** The API as the local admin. */
  get api(): Client {
    this.#admin ??= socketTransport(this.adminSocket)
    return createClient(this.#admin.transport)
  }

  /** Everything that all runs have logged. */
  log(): readonly LogLine[] {
    return this.logText()
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []))
  }
  logText(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
  }

  /** `sallyctl ARGS` over the admin socket. */
  admin(...args: readonly string[]): Promise<Finished> {
    return run(process.execPath, [this.programs.sallyctl, ...args], {
      env: { ...PLAIN, SALLY_HOME: join(this.folder, 'nobody'), SALLYPORT_SOCKET: this.adminSocket },
    })
  }

  /** Line `type base64`: what a node must trust. */
  async onwardAuthority(): Promise<string> {
    return this.#authority('onward-ssh')
  }

  /** The public key that checkpoints are signed with, as `--trust` takes it. */
  async checkpointKey(): Promise<string> {
    return this.#authority('checkpoint')
  }

  async #authority(kind: string): Promise<string> {
    const { items } = await this.api.listAuthorities({})
    const found = items.find((authority) => authority.kind === kind && authority.state === 'active')
    if (!found) throw new Error(`the daemon names no ${kind} authority`)
    return found.public
  }

  /** Starts a stock sshd that trusts the onward authority, and makes its document. Stopped by stop(). */
  async startNode(
    name: string,
    labels: Readonly<Record<string, string>> = {},
    options: SshdOptions = {},
  ): Promise<Sshd> {
    // At its debug level sshd tells the client, too.
    const quiet = [
      'LogLevel INFO',
      'PrintMotd no',
      'PrintLastLog no',
      `SetEnv SALLYPORT_TEST_NODE=${name} HISTFILE=/dev/null`,
    ]
    const config = [...(options.config ?? []), ...quiet]
    const sshd = await startSshd({ ...options, config, userAuthorities: [await this.onwardAuthority()] })
    this.#nodes.set(name, sshd)
    await this.addNode(name, sshd, labels)
    return sshd
  }

  /** The document of a node: `sshd` must trust `onwardAuthority()`. */
  async addNode(
    name: string,
    sshd: Pick<Sshd, 'port' | 'hostPublicKey'>,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const hostKey = sshd.hostPublicKey.split(' ').slice(0, 2).join(' ')
    const spec = { address: `127.0.0.1:${sshd.port}`, host_key: hostKey }
    await this.document({ kind: 'node', version: 'v1', metadata: { name, labels }, spec })
  }

  /** Makes a role, or replaces the one of that name. */
  role(document: z.input<typeof RoleDocument>): Promise<void> {
    return this.document(document)
  }

  /** What `sallyctl create -f` takes; replaces one of the same name. */
  async document(document: unknown): Promise<void> {
    await this.api.createDocument({ body: { document, replace: true } })
  }

  /** Makes an account. Its invitation waits for signIn(); it is given as well. */
  async user(
    name: string,
    roles: readonly string[] = [],
    traits: Readonly<Record<string, string[]>> = {},
    email?: string,
  ): Promise<Invitation> {
    const mail = email === undefined ? {} : { email }
    const invitation = await this.api.addUser({ body: { name, roles: [...roles], traits: { ...traits }, ...mail } })
    this.#invitations.set(name, invitation)
    return invitation
  }

  /**
   * A device on which the account is signed in: the first by its invitation, each later one by password (and code). `apps`:
   * authenticator apps that are added, one by default where one is due. Each gives a code in half a minute.
   */
  async signIn(name: string, { apps = 0 }: { readonly apps?: number } = {}): Promise<Account> {
    const number = [...this.#accounts.keys()].filter((key) => key.startsWith(`${name}/`)).length + 1
    const earlier = this.#accounts.get(`${name}/1`)
    const account = openAccount({
      name,
      home: join(this.folder, 'accounts', `${name}-${number}`),
      programs: this.programs,
      ...(earlier ? { like: earlier } : {}),
    })
    await (earlier ? account.signInAgain() : account.accept(this.#invitation(name), apps))
    this.#accounts.set(`${name}/${number}`, account)
    return account
  }

  /** An account that has not signed in: its programs and an empty SALLY_HOME. */
  stranger(name: string): Account {
    const home = join(this.folder, 'accounts', `${name}-stranger`)
    const account = openAccount({ name, home, programs: this.programs })
    this.#strangers.push(account)
    return account
  }

  #invitation(name: string): Invitation {
    const found = this.#invitations.get(name)
    if (!found) throw new Error(`user('${name}') comes first`)
    return found
  }

  /** Audit events that match, oldest first. Asking is an event (`audit.search`) of its own. */
  async events(filter: EventFilter = {}): Promise<readonly AuditEvent[]> {
    const events: AuditEvent[] = []
    let cursor: string | undefined
    do {
      const page = await this.api.searchAudit({ query: { limit: 500, ...filter, cursor } })
      events.push(...page.items)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    return events.sort((a, b) => a.seq - b.seq)
  }

  async sessions(query: CallInput<'listSessions'>['query'] = {}): Promise<readonly Session[]> {
    return (await this.api.listSessions({ query: { limit: 500, ...query } })).items
  }

  /** Rows of the database file, read beside the daemon. */
  rows(sql: string, ...values: readonly (string | number)[]): readonly Record<string, unknown>[] {
    const database = new DatabaseSync(this.database, { readOnly: true })
    try {
      return database.prepare(sql).all(...values)
    } finally {
      database.close()
    }
  }

  /** Sends the signal to the control process and waits for its end, and that of its relay workers. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    const running = this.#running
    if (!running) return { code: null, signal: null }
    const workers = childrenOf(running.pid)
    signalTo(running.pid, signal)
    const ended = await running.ended
    this.#forgetRun()
    await until('the relay workers to go', () => !workers.some(isAlive), { within: 60_000 })
    return ended
  }

  /** Resolves when the daemon ends, for whatever reason. */
  get ended(): Promise<Ended> {
    return this.#running?.ended ?? Promise.resolve({ code: null, signal: null })
  }

  /** Stops the daemon when it runs, and starts it on the same port and data. `config` replaces keys from now on. */
  async restart(config?: Readonly<Record<string, unknown>>): Promise<void> {
    if (this.#running) await this.kill('SIGTERM')
    this.writeConfig({ ...this.#options.config, ...config })
    const from = existsSync(this.logFile) ? statSync(this.logFile).size : 0
    const { child, ended } = this.#spawn()
    const ready = await until(
      'the daemon to be ready',
      () => {
        const found = logSince(this.logFile, from).find(({ msg }) => msg === 'ready')
        if (!found && child.exitCode !== null)
          throw new Error(`the daemon ended with ${child.exitCode}\n${this.#tail()}`)
        return found
      },
      { within: 60_000 },
    ).catch(async (error: unknown) => {
      child.kill('SIGKILL')
      await ended
      throw new Error(`${String(error)}\n${this.#tail()}`, { cause: error })
    })
    this.#port = Number(ready['port'])
    this.#running = { pid: Number(ready['pid']), ended }
  }

  /** Starts a second daemon on the same configuration file, and gives how it ended. */
  startBeside(configFile = this.configFile): Promise<Finished> {
    return run(process.execPath, [this.programs.sallyport, 'start', `--config=${configFile}`], { env: { ...PLAIN } })
  }

  writeConfig(config: Readonly<Record<string, unknown>> = {}): void {
    const all = { data_dir: this.dataDir, listen: `127.0.0.1:${this.#port}`, ...config }
    // JSON is YAML.
    writeFileSync(this.configFile, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 })
  }

  #spawn(): { child: ChildProcess; ended: Promise<Ended> } {
    mkdirSync(this.folder, { recursive: true })
    const log = openSync(this.logFile, 'a', 0o600)
    const words = [...(this.#options.wrap ?? []), process.execPath, this.programs.sallyport, 'start']
    const [program = '', ...args] = [...words, `--config=${this.configFile}`]
    const child = spawn(program, args, {
      env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...this.#options.env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const ended = new Promise<Ended>((resolve) => {
      child.once('error', () => resolve({ code: 127, signal: null }))
      child.once('exit', (code, signal) => resolve({ code, signal }))
    })
    return { child, ended }
  }

  #tail(): string {
    return this.logText().slice(-3000)
  }

  #forgetRun(): void {
    this.#running = null
    this.#admin?.close()
    this.#admin = null
  }

  /** Stops everything that was started here and removes the folder. May be called twice. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running) {
      const pids = [running.pid, ...childrenOf(running.pid)]
      signalTo(running.pid, 'SIGTERM')
      const late = setTimeout(() => pids.forEach((pid) => signalTo(pid, 'SIGKILL')), 20_000)
      await running.ended
      clearTimeout(late)
    }
    this.#forgetRun()
    await Promise.all([...this.#accounts.values(), ...this.#strangers].map((account) => account.close()))
    await Promise.all([...this.#nodes.values()].map((sshd) => sshd.stop()))
    this.#nodes.clear()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

interface Running {
  readonly pid: number
  readonly ended: Promise<Ended>
}

/** Nothing of the tester's own account may play a part. */
const PLAIN = { SSH_AUTH_SOCK: undefined, XDG_CONFIG_HOME: undefined, SALLY_NONINTERACTIVE: undefined } as const

function logSince(file: string, offset: number): readonly LogLine[] {
  const text = readFileSync(file).subarray(offset).toString()
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []))
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** A process that has ended but was not waited for counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already.
  }
}
