// A MariaDB server of its own for tests: in a folder of its own, on a free port of the loopback, never the machine's.
import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { needProgram } from './need-program.ts'
import { run, type Finished } from './run.ts'
import { until } from './until.ts'
import { TestAuthority } from './test-authority.ts'

/** Root must not run it: then Debian's user for it does. */
const SERVER_USER = 'mysql'

export interface MariadbOptions {
  /** PEM of the authorities whose client certificates the server accepts */
  readonly clientAuthorities?: string
  /** Lines of its configuration */
  readonly config?: readonly string[]
}

export class MariadbServer implements AsyncDisposable {
  readonly folder: string
  readonly port: number
  /** Signed the server's certificate, which is for 127.0.0.1 and localhost */
  readonly authority: TestAuthority
  #process: ChildProcess | null = null

  private constructor(folder: string, port: number, authority: TestAuthority) {
    this.folder = folder
    this.port = port
    this.authority = authority
  }

  static async start(options: MariadbOptions = {}): Promise<MariadbServer> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-mariadb-'))
    const server = new MariadbServer(folder, await freePort(), await TestAuthority.make('database servers'))
    try {
      await server.#make(options)
      await server.#run()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** Runs SQL as the server's root over its socket; fails loudly. */
  async sql(statements: string): Promise<string> {
    const { code, stdout, stderr } = await this.#client(['-N', '-B'], statements)
    if (code !== 0) throw new Error(`SQL failed: ${stderr}`)
    return stdout
  }

  /** What runs now for a db user, without idle connections. */
  async running(user: string): Promise<string[]> {
    const text = await this.sql(
      `select info from information_schema.processlist where user = '${user}' and info is not null;`,
    )
    return text.split('\n').filter((line) => line !== '')
  }

  /** Ids of all threads of a db user. */
  async threads(user: string): Promise<number[]> {
    const text = await this.sql(`select id from information_schema.processlist where user = '${user}' order by id;`)
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map(Number)
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => {
        child.once('exit', () => resolve())
      })
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #client(args: readonly string[], input: string): Promise<Finished> {
    const socket = join(this.folder, 'socket')
    return run(needProgram('mariadb'), ['--no-defaults', `--socket=${socket}`, '-uroot', ...args], {
      input,
      timeout: 30_000,
    })
  }

  async #make({ clientAuthorities, config = [] }: MariadbOptions): Promise<void> {
    const user = serverUser()
    const own = (path: string): void => {
      if (user) chownSync(path, user.uid, user.gid)
    }
    own(this.folder)
    const leaf = await this.authority.server(['localhost', '127.0.0.1'])
    const file = (name: string, text: string): string => {
      const path = join(this.folder, name)
      writeFileSync(path, text, { mode: 0o600 })
      own(path)
      return path
    }
    const data = join(this.folder, 'data')
    mkdirSync(data)
    own(data)
    const lines = [
      '[mariadbd]',
      `datadir=${data}`,
      `port=${String(this.port)}`,
      'bind-address=127.0.0.1',
      `socket=${join(this.folder, 'socket')}`,
      `pid-file=${join(this.folder, 'pid')}`,
      `log-error=${join(this.folder, 'log')}`,
      `ssl-cert=${file('server.pem', leaf.certificatePem)}`,
      `ssl-key=${file('server.key', leaf.keyPem)}`,
      `ssl-ca=${file('clients.pem', clientAuthorities ?? this.authority.certificatePem)}`,
      'skip-name-resolve',
      'innodb-flush-log-at-trx-commit=0',
      'innodb-buffer-pool-size=16M',
      'innodb-log-file-size=8M',
      'innodb-flush-method=nosync',
      'max-allowed-packet=256M',
      'performance-schema=off',
      // A cached thread hands its statement ids on to the next connection.
      'thread-cache-size=0',
      ...config,
    ]
    const defaults = file('my.cnf', lines.map((line) => `${line}\n`).join(''))
    const [program = '', ...args] = asServerUser([
      needProgram('mariadb-install-db'),
      `--defaults-file=${defaults}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
    ])
    const made = await run(program, args, { cwd: '/', timeout: 120_000 })
    if (made.code !== 0) throw new Error(`mariadb-install-db failed: ${made.stdout}${made.stderr}`)
  }

  async #run(): Promise<void> {
    const [program = '', ...args] = asServerUser([
      needProgram('mariadbd'),
      `--defaults-file=${join(this.folder, 'my.cnf')}`,
    ])
    const child = spawn(program, args, { stdio: 'ignore' })
    this.#process = child
    await until('the MariaDB server', async () => {
      if (child.exitCode !== null)
        throw new Error(`mariadbd ended: ${readFileSync(join(this.folder, 'log'), 'utf8').slice(-3000)}`)
      return (await this.#client([], 'select 1')).code === 0
    })
  }
}

function serverUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${SERVER_USER}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined)
    throw new Error(`root cannot run a MariaDB server, and there is no user ${SERVER_USER}`)
  return { uid: Number(uid), gid: Number(gid) }
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
