import type { Client } from '../../contract/client.ts'
import type { AutomationFacts, Judgement } from '../../contract/policy.ts'
import type { PlayOutput } from '../sally/play/play-options.ts'
import type { ProfileStore, Proxy } from './profile.ts'
import type { Prompt } from './prompt.ts'
import type { OpenTransport } from './proxy-transport.ts'
import type { Terminal } from './terminal.ts'

export const FORMATS = ['text', 'json', 'yaml'] as const
export type Format = (typeof FORMATS)[number]

/** What the entry point knows and commands must not find out by themselves. */
export interface Surroundings {
  readonly program: string
  readonly version: string
  readonly terminal: Terminal
  readonly prompt: Prompt
  readonly profiles: ProfileStore
  /** How the API is reached; closed when the command is over. */
  readonly dial: Dial
  /** HTTPS to a proxy whose authority is known. */
  readonly openProxy: (proxy: ProxyAddress) => Promise<OpenTransport>
  /** What ssh_config calls for hosts that need the preface: program and its first arguments. */
  readonly proxyCommand: readonly string[]
  /** Where a recording is shown; left out: on this process's terminal. */
  readonly playOutput?: () => Promise<PlayOutput>
  /** Runs another program on this terminal and resolves with its exit code. */
  readonly execute: (program: string, args: readonly string[]) => Promise<number>
  /** Runs policies in their sandbox; only operators' tools carry it. */
  readonly openWorkbench?: OpenWorkbench
  /** Checks a database file without a daemon; only operators' tools carry it. */
  readonly verifyOffline?: (files: OfflineFiles) => Promise<OfflineVerdict>
}

export type ProxyAddress = Pick<Proxy, 'host' | 'port' | 'name' | 'tlsAuthority'>

/** Sources of policies: a folder, or by policy what it is made of. Throws CommandFailed('usage') with every fault and its place. */
export type OpenWorkbench = (
  from: { readonly folder: string } | { readonly policies: Readonly<Record<string, Readonly<Record<string, string>>>> },
) => Promise<PolicyWorkbench>

export interface PolicyWorkbench {
  /** Policies, sorted */
  readonly files: readonly string[]
  judge(file: string, facts: AutomationFacts): Promise<Judgement>
  close(): void
}

export interface OfflineFiles {
  readonly database: string
  /** Public key of the checkpoint authority, from outside the database. */
  readonly trust: string | null
  /** Checkpoints kept outside the database. */
  readonly checkpoints: string | null
  /** Folder of the session files; null: they are not checked. */
  readonly recordings: string | null
}

/** As `Verification` of the contract. */
export interface OfflineVerdict {
  readonly events: number
  readonly rows: number
  readonly checkpoints: number
  readonly sessionFiles: number
  readonly anchored: boolean
  readonly notes: readonly string[]
  readonly problems: readonly { readonly kind: string; readonly where: string; readonly message: string }[]
}

export interface Dial {
  /** The signed-in account's API. Throws CommandFailed('notSignedIn') without a profile. */
  signedIn(context: CommandContext): Promise<Client>
  /** The admin socket where there is one, else the signed-in account. */
  operator(context: CommandContext): Promise<Client>
  close(): void
}

export interface CommandContext extends Surroundings {
  readonly format: Format
  /** The result, on stdout: `data` as it is for programs, `text()` for people. */
  show(data: unknown, text: () => string): Promise<void>
  /** Progress, on stderr; silent for programs (`--format=json|yaml`). */
  progress(text: string): void
  /** A sentence that must be read, on stderr in every format. */
  warn(text: string): void
  readonly socket: string | undefined
  readonly givenCode: string | undefined
  /** A second-factor code from `--code`, SALLY_CODE or the person. */
  secondFactorCode(question: string): Promise<string>
}
