// One device of one account: its SALLY_HOME, and the stock programs told by its ssh_config.
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { generateSync } from 'otplib'
import type { Invitation } from '../../src/contract/user.ts'
import { asAccount } from './as-account.ts'
import type { BuiltPrograms } from './built-programs.ts'
import { needProgram } from './need-program.ts'
import { run, start, type Finished, type RunningProgram, type RunOptions } from './run.ts'
import { openTerminal, type Terminal } from './terminal.ts'

export type AccountProgram = 'sally' | 'sallyctl' | 'ssh' | 'scp' | 'sftp'

/** Authenticator apps of one account. Codes work once, so none is shown twice. */
export interface Authenticator {
  /** A code that was not given out before; waits for the next one when all that would be taken are used. */
  code(): Promise<string>
  /** One more app, and its first code: one code more each half minute. */
  add(secret: string): Promise<string>
}

export interface Account {
  readonly name: string
  /** SALLY_HOME */
  readonly home: string
  readonly sshConfig: string
  readonly certificateFile: string
  /** What its programs run with, besides this process's own environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly password: string
  readonly authenticator: Authenticator | null
  /** To the end; non-zero exits are results. */
  sally(...args: readonly string[]): Promise<Finished>
  /** Signed in as this account, not over the admin socket. */
  sallyctl(...args: readonly string[]): Promise<Finished>
  ssh(...args: readonly string[]): Promise<Finished>
  scp(...args: readonly string[]): Promise<Finished>
  run(program: AccountProgram, args: readonly string[], options?: RunOptions): Promise<Finished>
  /** In the background, with pipes. Stopped when the daemon is stopped by stop(). */
  start(program: AccountProgram, ...args: readonly string[]): RunningProgram
  /** In a real terminal (tmux), which stays readable after its end. */
  terminal(program: AccountProgram, ...args: readonly string[]): Promise<Terminal>
  /** Program and first arguments, for scripts of a test. */
  command(program: AccountProgram): readonly [string, ...string[]]
  /** First sign-in, by invitation, with so many authenticator apps; at least one where it is due. Fails when a command does. */
  accept(invitation: Invitation, apps: number): Promise<void>
  /** `sally login` on this device, by password and code. Fails when the command does. */
  signInAgain(): Promise<void>
  /** `--proxy=...` and `--ca-pin=...`, as they stood in the invitation. */
  trust(): readonly string[]
  close(): Promise<void>
}

export interface AccountOptions {
  readonly name: string
  readonly home: string
  readonly programs: BuiltPrograms
  /** Another device of the same account: password and authenticator are shared. */
  readonly like?: Account
}

export function openAccount({ name, home, programs, like }: AccountOptions): Account {
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const sshConfig = join(home, 'ssh_config')
  const password = like?.password ?? randomBytes(12).toString('base64url')
  let authenticator = like?.authenticator ?? null
  let trust: readonly string[] = like?.trust() ?? []
  const env = {
    SALLY_HOME: home,
    HOME: home,
    XDG_CONFIG_HOME: undefined,
    SSH_AUTH_SOCK: undefined,
    SALLYPORT_SOCKET: undefined,
    SALLY_CODE: undefined,
    SALLY_PASSWORD: undefined,
  }
  const command = (program: AccountProgram): readonly [string, ...string[]] =>
    program === 'sally' || program === 'sallyctl'
      ? [process.execPath, programs[program]]
      : [needProgram(program), '-F', sshConfig]
  const open: AsyncDisposable[] = []
  const runIt = (
    program: AccountProgram,
    args: readonly string[],
    { env: more, ...options }: RunOptions = {},
  ): Promise<Finished> => {
    const [file, ...first] = command(program)
    return run(file, [...first, ...args], { ...options, env: { ...env, ...more } })
  }
  const must = async (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const done = await runIt('sally', args, { env: more })
    if (done.code !== 0) throw new Error(`sally ${args.join(' ')} ended with ${done.code}: ${done.stderr}`)
    return done.stdout
  }
  const enrol = async (): Promise<void> => {
    const added = JSON.parse(await must(['mfa', 'add', '--secret-only', '--format=json'])) as Added
    authenticator ??= createAuthenticator()
    await must(['mfa', 'add', `--confirm=${added.id}`, `--code=${await authenticator.add(added.secret)}`])
  }
  /** The first by the command line; more of them by one connection, which takes a fiftieth of the time. */
  const enrolMore = (apps: number): Promise<void> =>
    asAccount({ name, home }, async (api) => {
      for (let app = 0; app < apps; app++) {
        const { id, secret } = await api.addTotp({ body: { name: 'authenticator' } })
        authenticator ??= createAuthenticator()
        await api.confirmTotp({ params: { id }, body: { code: await authenticator.add(secret) } })
      }
    })
  return {
    name,
    home,
    sshConfig,
    env,
    password,
    command,
    run: runIt,
    certificateFile: join(home, 'id-cert.pub'),
    get authenticator() {
      return authenticator
    },
    sally: (...args) => runIt('sally', args),
    sallyctl: (...args) => runIt('sallyctl', args),
    ssh: (...args) => runIt('ssh', args),
    scp: (...args) => runIt('scp', args),
    start(program, ...args) {
      const [file, ...first] = command(program)
      const running = start(file, [...first, ...args], { env })
      open.push(running)
      return running
    },
    async terminal(program, ...args) {
      const [file, ...first] = command(program)
      // tmux adds variables and takes none away; an empty one counts as unset. With CI set, sally would ask nothing.
      const terminal = await openTerminal([file, ...first, ...args], {
        env: { SALLY_HOME: home, HOME: home, SSH_AUTH_SOCK: '', CI: '' },
      })
      open.push(terminal)
      return terminal
    },
    async accept(invitation, apps) {
      const words = invitation.command.split(' ').slice(1)
      trust = words.filter((word) => /^--(proxy|ca-pin)=/.test(word))
      const answer = JSON.parse(await must([...words, '--format=json'], { SALLY_PASSWORD: password })) as SignedIn
      if (answer.secondFactorDue || apps > 0) await enrol()
      if (apps > 1) await enrolMore(apps - 1)
    },
    async signInAgain() {
      const code = authenticator ? [`--code=${await authenticator.code()}`] : []
      await must(['login', ...trust, `--user=${name}`, ...code], { SALLY_PASSWORD: password })
    },
    trust: () => trust,
    async close() {
      await Promise.all(open.splice(0).map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

interface Added {
  readonly id: string
  readonly secret: string
}

interface SignedIn {
  readonly secondFactorDue: boolean
}

const STEP_MS = 30_000

export function createAuthenticator(): Authenticator {
  const secrets: string[] = []
  // Of each app the daemon takes the step before, the current and the next one, and none at or before the last that it took.
  const last = new Map<string, number>()
  const firstOf = async (apps: readonly string[]): Promise<string> => {
    for (;;) {
      const now = Date.now()
      const current = Math.floor(now / STEP_MS)
      const next = (secret: string): number => Math.max((last.get(secret) ?? 0) + 1, current)
      const secret = apps.find((each) => next(each) <= current + 1)
      if (secret !== undefined) {
        const step = next(secret)
        last.set(secret, step)
        return generateSync({ secret, epoch: (step * STEP_MS) / 1000 })
      }
      await pause(STEP_MS - (now % STEP_MS) + 50)
    }
  }
  return {
    add(secret) {
      secrets.push(secret)
      return firstOf([secret])
    },
    code: () => firstOf(secrets),
  }
}
