import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Clock } from '../../foundation/clock.ts'

export interface Outcome {
  readonly code: number
  readonly output: string
  readonly stdout: string
}

export interface StartedCommand {
  readonly ended: Promise<Outcome>
  /** stdout and stderr so far, as they came. */
  output(): string
  write(text: string): void
  endInput(): void
  kill(): void
}

/** Runs a command line's program; `onText` sees what it prints as it comes. A program that cannot start counts as exit 127. */
export function startCommand(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  { cwd, onText = () => {} }: { readonly cwd: string; readonly onText?: (text: string) => void },
): StartedCommand {
  const child = spawn(program, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  let stdout = ''
  const take = (text: string): void => {
    output += text
    onText(text)
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    take(text)
  })
  child.stderr.setEncoding('utf8').on('data', take)
  // A program may end before it has read what was typed.
  child.stdin.on('error', () => {})
  const ended = new Promise<Outcome>((resolve) => {
    child.once('error', (error) => resolve({ code: 127, output: `${output}${error.message}\n`, stdout }))
    child.once('close', (code) => resolve({ code: code ?? 128, output, stdout }))
  })
  return {
    ended,
    output: () => output,
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    kill: () => void child.kill(),
  }
}

export interface Server {
  readonly pid: number
  /** Rejects when the server ends before it is told to. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

/** A program that stays: its output goes to a file, and it is asked to stop with SIGTERM, then made to. */
export function startServer(
  clock: Clock,
  command: readonly [string, ...string[]],
  options: { readonly log: string; readonly env: Readonly<Record<string, string>> },
): Server {
  const [program, ...args] = command
  const log = openSync(options.log, 'a', 0o600)
  // A group of its own: Ctrl-C reaches the demo alone, which then stops its servers in order.
  const child = spawn(program, args, { env: options.env, stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  let stopping = false
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  const failed = ended.then((): Promise<never> => {
    if (stopping) return new Promise(() => {})
    return Promise.reject(new Error(`${program} ended by itself; see ${options.log}`))
  })
  failed.catch(() => {})
  const stop = async (): Promise<void> => {
    stopping = true
    if (child.exitCode !== null || child.signalCode !== null) return
    signalGroup(child, 'SIGTERM')
    const timer = clock.after(8000, () => signalGroup(child, 'SIGKILL'))
    await ended
    timer.cancel()
  }
  return { pid: child.pid ?? 0, failed, stop }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // Gone already.
  }
}
