import { Readable } from 'node:stream'
import type { Profile } from '../../src/cli/shared/profile.ts'
import { openProfiles } from '../../src/cli/shared/profile.ts'
import type { CommandContext, Dial, Surroundings } from '../../src/cli/shared/command-context.ts'
import { stepUpBy } from '../../src/cli/shared/dial.ts'
import { runProgram, type Program } from '../../src/cli/shared/run-program.ts'
import { createClient } from '../../src/contract/client.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import type { FakeApi } from './fake-api.ts'
import { ManualClock } from './manual-clock.ts'

export const NOW = Date.UTC(2026, 0, 1, 12)

export interface CommandLineOptions {
  readonly program: Program
  readonly api: FakeApi
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
  /** What a person answers, in order; absent: nobody sits there. */
  readonly answers?: readonly (string | boolean)[]
  readonly columns?: number
  readonly stdin?: string
  readonly clock?: Clock
  readonly interrupted?: AbortSignal
  readonly extra?: Partial<Surroundings>
}

export interface CommandResult {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
  /** Questions that were asked. */
  readonly asked: readonly string[]
  readonly executed: readonly (readonly string[])[]
}

/** Runs one command line in this process against a fake API. */
export async function commandLine(args: readonly string[], options: CommandLineOptions): Promise<CommandResult> {
  const out: string[] = []
  const err: string[] = []
  const asked: string[] = []
  const executed: string[][] = []
  const answers = [...(options.answers ?? [])]
  const answer = <T>(question: string): Promise<T> => {
    asked.push(question)
    if (answers.length === 0) return Promise.reject(new Error(`nobody answers: ${question}`))
    return Promise.resolve(answers.shift() as T)
  }
  const columns = options.columns ?? null
  const exit = await runProgram(options.program, args, {
    program: options.program.name,
    version: '0.0.0',
    terminal: {
      stdout: { write: (text) => void out.push(text), columns },
      stderr: { write: (text) => void err.push(text), columns },
      stdin: Readable.from([options.stdin ?? '']),
      env: options.env ?? {},
      clock: options.clock ?? new ManualClock(NOW),
      interactive: options.answers !== undefined,
      interrupted: options.interrupted ?? new AbortController().signal,
    },
    prompt: { text: answer, secret: answer, confirm: answer },
    profiles: openProfiles(options.folder),
    dial: fakeDial(options.api),
    openProxy: () => Promise.resolve({ transport: options.api.transport, close: () => {} }),
    proxyCommand: ['/usr/bin/node', '/opt/sallyport/proxy-command.mjs'],
    playOutput: () =>
      Promise.resolve({
        write: (bytes: Uint8Array) => Promise.resolve(void out.push(Buffer.from(bytes).toString())),
        size: null,
      }),
    execute: (program, words) => {
      executed.push([program, ...words])
      return Promise.resolve(0)
    },
    ...options.extra,
  })
  return { exit, stdout: out.join(''), stderr: err.join(''), asked, executed }
}

function fakeDial(api: FakeApi): Dial {
  const client = (context: CommandContext) =>
    Promise.resolve(createClient(api.transport, { token: 'token', stepUpCode: stepUpBy(context) }))
  return { signedIn: client, operator: client, close: () => {} }
}

export const aProfile: Profile = {
  proxy: {
    host: 'proxy.example',
    port: 3022,
    installation: 'ins_1',
    name: 'sallyport',
    tlsAuthority: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
    sshHostAuthorities: [
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP////////////////////////////////////////// sallyport host authority',
    ],
  },
  account: { user: 'alice', userId: 'usr_1', loginId: 'lgn_1', expiresAt: NOW + 3_600_000, token: 'token' },
}

/** Signed in as alice. */
export async function signedInFolder(folder: string, profile: Profile = aProfile): Promise<string> {
  await openProfiles(folder).save(profile)
  return folder
}
