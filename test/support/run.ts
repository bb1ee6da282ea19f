import { spawn, type ChildProcess } from 'node:child_process'
import { until, type Patience } from './until.ts'

export interface RunOptions {
  /** Added to this process's own; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Written to stdin, which is then closed. Without it stdin is empty. */
  readonly input?: string | Uint8Array
  /** Milliseconds until it is killed and the run fails. Default one minute. */
  readonly timeout?: number
}

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** stdout byte for byte */
  readonly bytes: Buffer
}

/** Runs a program to its end and gives what it printed; a non-zero exit is a result, not an error. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const program = start(command, args, options)
  program.end(options.input)
  const { timeout = 60_000 } = options
  let late = false
  const timer = setTimeout(() => {
    late = true
    program.child.kill('SIGKILL')
  }, timeout)
  const finished = await program.finished
  clearTimeout(timer)
  if (late)
    throw new Error(
      `${[command, ...args].join(' ')} did not end within ${timeout} ms\nstdout: ${finished.stdout.slice(-2000)}\nstderr: ${finished.stderr.slice(-2000)}`,
    )
  return finished
}

export interface RunningProgram extends AsyncDisposable {
  readonly child: ChildProcess
  readonly pid: number
  readonly finished: Promise<Finished>
  stdout(): string
  stderr(): string
  write(text: string | Uint8Array): void
  /** Closes stdin, after a last text. */
  end(text?: string | Uint8Array): void
  /** Waits until stdout or stderr contains it, and gives the match. */
  prints(pattern: RegExp, patience?: Patience): Promise<RegExpExecArray>
  /** SIGTERM, and SIGKILL after ten seconds. */
  stop(): Promise<Finished>
}

/** Starts a program with all three streams piped and captured. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): RunningProgram {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  // A program that ends before it has read its input is no failure of ours.
  child.stdin.on('error', () => {})
  const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString()
  let ended = false
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', (error) => {
      ended = true
      reject(error)
    })
    child.once('close', (code, signal) => {
      ended = true
      resolve({ code, signal, stdout: text(out), stderr: text(err), bytes: Buffer.concat(out) })
    })
  })
  // Whoever awaits `finished` still sees the failure; nobody has to.
  finished.catch(() => {})
  const stop = async (): Promise<Finished> => {
    if (ended) return finished
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    const result = await finished
    clearTimeout(timer)
    return result
  }
  return {
    child,
    pid: child.pid ?? 0,
    finished,
    stdout: () => text(out),
    stderr: () => text(err),
    write: (input) => void child.stdin.write(input),
    end: (input) => void (input === undefined ? child.stdin.end() : child.stdin.end(input)),
    prints: (pattern, patience) =>
      until(
        `${pattern} from ${command}`,
        () => {
          const found = pattern.exec(text(out)) ?? pattern.exec(text(err))
          if (!found && ended)
            throw new Error(`${command} ended without ${pattern}\nstdout: ${text(out)}\nstderr: ${text(err)}`)
          return found
        },
        patience,
      ),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop().catch(() => {})),
  }
}
