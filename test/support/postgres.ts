// A PostgreSQL server of its own for tests: in a folder of its own, on a free port of the loopback, never the machine's.
import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import type { PostgresSettings } from '../../src/foundation/database/postgres/postgres-settings.ts'
import { freePort } from './free-port.ts'
import { needProgram } from './need-program.ts'
import { installPostgres18, type PostgresRelease } from './postgres-release.ts'
import { run } from './run.ts'
import { until } from './until.ts'

const HOME = '/usr/lib/postgresql'
/** A server refuses to be run by root: then the user that Debian's package makes runs it, or else nobody. */
const STAND_INS = ['postgres', 'nobody']

export interface PostgresServerOptions {
  /** Lines of postgresql.conf */
  readonly config?: readonly string[]
  readonly release?: PostgresRelease
}

export class PostgresServer implements AsyncDisposable {
  readonly folder: string
  readonly port: number
  readonly #config: readonly string[]
  /** Where `initdb` and `postgres` are */
  readonly #programs: string
  #process: ChildProcess | null = null
  #databases = 0

  private constructor(folder: string, port: number, { config = [], release = 'debian' }: PostgresServerOptions) {
    this.folder = folder
    this.port = port
    this.#config = config
    this.#programs = release === 'debian' ? debianPrograms() : installPostgres18(folder)
  }

  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-postgres-'))
    const server = new PostgresServer(folder, await freePort(), options)
    try {
      await server.#make()
      await server.restart()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('the server is not running')
    return this.#process.pid
  }

  settings(database: string): PostgresSettings {
    const { port } = this
    const where = { host: '127.0.0.1', port, user: 'sallyport', database, password: null, tls: null }
    return { ...where, connectTimeoutMs: 5000, statementTimeoutMs: 10_000, connections: 4 }
  }

  /** For `storage:` in a configuration. */
  url(database: string): string {
    return `postgres://sallyport@127.0.0.1:${String(this.port)}/${database}`
  }

  /** A new empty database; its name. */
  async database(): Promise<string> {
    const name = `store_${String(++this.#databases)}_${String(process.pid)}`
    await this.query('postgres', `create database ${name}`)
    return name
  }

  /** Runs SQL as an intruder would who has the server's password. */
  async query(database: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ host: '127.0.0.1', port: this.port, user: 'sallyport', database })
    await client.connect()
    try {
      const result = await client.query<Record<string, unknown>>(sql)
      return Array.isArray(result) ? [] : result.rows
    } finally {
      await client.end()
    }
  }

  async restart(): Promise<void> {
    const { folder } = this
    const data = join(folder, 'data')
    const [program = '', ...args] = asServerUser([join(this.#programs, 'postgres'), '-D', data])
    const log = join(folder, 'log')
    this.#process = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const child = this.#process
    child.stderr?.on('data', (text: Buffer) => writeFileSync(log, text, { flag: 'a' }))
    await until('the PostgreSQL server', async () => {
      if (child.exitCode !== null) throw new Error(`postgres ended: ${readFileSync(log, 'utf8')}`)
      try {
        await this.query('postgres', 'select 1')
        return true
      } catch {
        return false
      }
    })
  }

  /** SIGINT is PostgreSQL's fast stop, SIGQUIT leaves as a crash does. */
  async kill(signal: 'SIGINT' | 'SIGQUIT' = 'SIGQUIT'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null) return
    const gone = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
    })
    // Not the child: `setpriv` has become the server itself.
    child.kill(signal)
    await gone
    this.#process = null
  }

  async stop(): Promise<void> {
    await this.kill('SIGQUIT')
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #make(): Promise<void> {
    const user = serverUser()
    if (user) chownSync(this.folder, user.uid, user.gid)
    const data = join(this.folder, 'data')
    const initdb = [
      join(this.#programs, 'initdb'),
      '-D',
      data,
      '-U',
      'sallyport',
      '-A',
      'trust',
      '--no-sync',
      '-E',
      'UTF8',
    ]
    const [program = '', ...args] = asServerUser([...initdb, '--locale=C.UTF-8'])
    const made = await run(program, args, { cwd: '/', timeout: 60_000 })
    if (made.code !== 0) throw new Error(`initdb failed: ${made.stderr}`)
    const lines = [
      "listen_addresses = '127.0.0.1'",
      `port = ${String(this.port)}`,
      "unix_socket_directories = ''",
      'fsync = off',
      'shared_buffers = 16MB',
      'max_connections = 60',
      ...this.#config,
    ]
    writeFileSync(join(data, 'postgresql.conf'), lines.map((line) => `${line}\n`).join(''), { flag: 'a' })
  }
}

function debianPrograms(): string {
  const versions = existsSync(HOME) ? readdirSync(HOME).toSorted((a, b) => Number(b) - Number(a)) : []
  const found = versions.map((version) => join(HOME, version, 'bin')).find((path) => existsSync(join(path, 'initdb')))
  return found ?? dirname(needProgram('initdb'))
}

/** Of Debian's release, also those that are not in PATH */
export const postgresProgram = (name: string): string => join(debianPrograms(), name)

function serverUser(): { readonly name: string; readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of STAND_INS) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(`root cannot run a PostgreSQL server, and there is no user ${STAND_INS.join(' or ')}`)
}

function asServerUser(command: readonly string[]): readonly string[] {
  const user = serverUser()
  if (user === null) return command
  return [
    needProgram('setpriv'),
    `--reuid=${String(user.uid)}`,
    `--regid=${String(user.gid)}`,
    '--clear-groups',
    ...command,
  ]
}
