import { spawn, type ChildProcess } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Client, type Transport } from '../../src/contract/client.ts'
import type { ServiceScope } from '../contract-types.ts'
import { Sallyport } from '../client.ts'
import { SallyportError } from '../errors.ts'
import { pinnedTransport, pinOf, type PinnedTransport } from '../pinned-transport.ts'
import { MovedClock } from './moved-clock.ts'
import { TestPerson } from './test-person.ts'

export interface StartOptions {
  /** The daemon's program, `sallyport.mjs`. Default: $SALLYPORT_PROGRAM */
  readonly program?: string
  /** More keys of its configuration (docs/configuration.md) */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface ServiceAccountOptions {
  readonly scopes: readonly ServiceScope[]
  /** Who answers for it: a person of this daemon. Default: one that is made for it */
  readonly owner?: string
  readonly roles?: readonly string[]
  /** Milliseconds; default a day */
  readonly ttl?: number
}

const START_MS = 60_000
const STOP_MS = 20_000
const DAY_MS = 86_400_000

/**
 * A daemon of its own, with nothing in it. `await using` stops it, and so does the end of this process; its folder goes with it.
 * Errors: SallyportError('unreachable') when the program does not start, with the end of its log.
 */
export async function startDaemon(options: StartOptions = {}): Promise<TestDaemon> {
  const program = options.program ?? process.env['SALLYPORT_PROGRAM']
  if (program === undefined || !existsSync(program))
    throw new SallyportError('unreachable', 'the daemon’s program was not found', {
      hint: 'give startDaemon({ program }) or SALLYPORT_PROGRAM the path of sallyport.mjs',
    })
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  const run = new Run(folder, program, options.config ?? {})
  try {
    return new TestDaemon(run, await run.ready())
  } catch (error) {
    await run.stop()
    throw error
  }
}

export class TestDaemon implements AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  readonly caPin: string
  readonly #run: Run
  readonly #transports: { close(): void }[] = []
  readonly #api: Client

  /** @internal */
  constructor(run: Run, { port, api, caPin }: Ready) {
    this.#run = run
    this.#api = api
    this.address = `127.0.0.1:${port}`
    this.caPin = caPin
  }

  /** What `sallyctl create -f` takes; replaces one of the same name. */
  async document(document: unknown): Promise<void> {
    await this.#api.createDocument({ body: { document, replace: true } })
  }

  /** A role by its `spec`, as in docs/roles.md. */
  role(name: string, spec: unknown): Promise<void> {
    return this.document({ kind: 'role', version: 'v1', metadata: { name }, spec })
  }

  /** A person, signed in with an authenticator app. */
  async person(
    name: string,
    roles: readonly string[] = [],
    traits: Readonly<Record<string, string[]>> = {},
  ): Promise<TestPerson> {
    const { code } = await this.#api.addUser({ body: { name, roles: [...roles], traits: { ...traits } } })
    return TestPerson.accept(this.#transport(), name, code, this.now)
  }

  /** Makes a service account, or one more token of it, and gives the token. */
  async serviceToken(name: string, { scopes, owner, roles, ttl = DAY_MS }: ServiceAccountOptions): Promise<string> {
    const answerable = owner ?? (await this.#ownerOf(name))
    const body = { account: name, owner: answerable, scopes: [...scopes], ttl, ...(roles ? { roles: [...roles] } : {}) }
    return (await this.#api.addServiceToken({ body })).secret
  }

  /** As `serviceToken`, and connects with it. */
  async serviceAccount(name: string, options: ServiceAccountOptions): Promise<Sallyport> {
    return this.connect(await this.serviceToken(name, options))
  }

  connect(token: string): Sallyport {
    const client = new Sallyport({ address: this.address, caPin: this.caPin, token })
    this.#transports.push(client)
    return client
  }

  /** Milliseconds since the epoch, as the daemon has it */
  readonly now = (): number => this.#run.clock.now()

  /** Moves the daemon's wall clock forward: grants, requests and tokens end, windows open. Its timers run as ever. */
  advance(ms: number): Promise<void> {
    return this.#run.clock.advance(ms, isAlive)
  }

  /** Ends the daemon's processes and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    for (const each of this.#transports.splice(0)) each.close()
    await this.#run.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #transport(): PinnedTransport {
    const transport = pinnedTransport(this.address, [this.caPin])
    this.#transports.push(transport)
    return transport
  }

  async #ownerOf(account: string): Promise<string> {
    const name = `owner-of-${account}`
    const { items } = await this.#api.listUsers({})
    if (!items.some((user) => user.name === name)) await this.#api.addUser({ body: { name, roles: [], traits: {} } })
    return name
  }
}

interface Ready {
  readonly port: number
  readonly api: Client
  readonly caPin: string
}

class Run {
  readonly clock: MovedClock
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #onExit: () => void
  #admin: Agent | null = null

  constructor(folder: string, program: string, config: Readonly<Record<string, unknown>>) {
    this.#folder = folder
    mkdirSync(join(folder, 'clock'))
    this.clock = new MovedClock(join(folder, 'clock'))
    const file = join(folder, 'sallyport.yaml')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ data_dir: join(folder, 'data'), listen: '127.0.0.1:0', ...config }), {
      mode: 0o600,
    })
    const log = openSync(this.#log, 'a', 0o600)
    this.#child = spawn(process.execPath, [program, 'start', `--config=${file}`], {
      env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...this.clock.env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve())
      this.#child.once('error', () => resolve())
    })
    this.#onExit = () => {
      this.#child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    }
    process.once('exit', this.#onExit)
  }

  get #log(): string {
    return join(this.#folder, 'sallyport.log')
  }

  async ready(): Promise<Ready> {
    const deadline = performance.now() + START_MS
    for (;;) {
      const port = portOf(readFileSync(this.#log, 'utf8'))
      if (port !== null) return this.#meet(port)
      if (this.#child.exitCode !== null || this.#child.pid === undefined || performance.now() > deadline)
        throw new SallyportError(
          'unreachable',
          `the daemon did not start:\n${readFileSync(this.#log, 'utf8').slice(-3000)}`,
        )
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async #meet(port: number): Promise<Ready> {
    const socketPath = join(this.#folder, 'data', 'admin', 'sallyport.sock')
    this.#admin = new Agent({ keepAlive: true })
    const api = createClient(socketTransport(this.#admin, socketPath))
    const { tlsAuthority } = await api.ping({})
    return { port, api, caPin: pinOf(new X509Certificate(tlsAuthority)) }
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit)
    this.#admin?.destroy()
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(late)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

function portOf(log: string): number | null {
  for (const line of log.split('\n')) {
    if (!line.startsWith('{') || !line.endsWith('}')) continue
    const { msg, port } = JSON.parse(line) as { msg?: unknown; port?: unknown }
    if (msg === 'ready' && typeof port === 'number') return port
  }
  return null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The admin socket in the daemon's folder: whoever can open it is the local admin. */
function socketTransport(agent: Agent, socketPath: string): Transport {
  return ({ method, target: path, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const length = body === null ? {} : { 'content-length': String(body.length) }
      const outgoing = request({
        ...{ agent, socketPath, host: 'sallyport', method, path, headers: { ...headers, ...length } },
        ...(signal ? { signal } : {}),
      })
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) =>
        resolve({ status: incoming.statusCode ?? 0, contract: undefined, body: incoming }),
      )
      outgoing.end(body ?? undefined)
    })
}
