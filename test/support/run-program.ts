import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'

export interface Finished {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  /** The same bytes as stdout */
  readonly bytes: Buffer
}

/** A program with pipes, of which a test waits for what it prints. */
export class RunningProgram {
  readonly child: ChildProcessWithoutNullStreams
  readonly finished: Promise<Finished>
  #out: Buffer[] = []
  #err = ''
  #look: () => void = () => {}
  #isOver = false

  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(program, args, { env })
    this.child.stdin.on('error', () => {})
    this.child.stdout.on('data', (bytes: Buffer) => {
      this.#out.push(bytes)
      this.#look()
    })
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text
      this.#look()
    })
    this.finished = new Promise((resolve, reject) => {
      this.child.once('error', (error) => reject(new Error(`this test needs ${program}: ${error.message}`)))
      this.child.once('close', (code, signal) => {
        this.#isOver = true
        const bytes = Buffer.concat(this.#out)
        resolve({ code, signal, bytes, stdout: bytes.toString('utf8'), stderr: this.#err })
        this.#look()
      })
    })
  }

  get stdout(): string {
    return Buffer.concat(this.#out).toString('utf8')
  }

  get stderr(): string {
    return this.#err
  }

  write(text: string | Uint8Array): void {
    this.child.stdin.write(text)
  }

  endInput(text: string | Uint8Array = ''): void {
    this.child.stdin.end(text)
  }

  /** Waits until stdout and stderr together have it. Fails when the program ends without. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout + this.#err)
      if (match) return match
      if (this.#isOver) throw new Error(`ended without ${String(pattern)}:\n${this.stdout}\n${this.#err}`)
      await new Promise<void>((resolve) => {
        const guard = setTimeout(resolve, 30_000)
        this.#look = () => {
          clearTimeout(guard)
          resolve()
        }
      })
    }
  }

  kill(): void {
    if (!this.#isOver) this.child.kill('SIGKILL')
  }
}

/** Runs to the end with `input` on stdin. */
export async function runProgram(
  program: string,
  args: readonly string[],
  input: string | Uint8Array = '',
  env: NodeJS.ProcessEnv = process.env,
): Promise<Finished> {
  const running = new RunningProgram(program, args, env)
  running.endInput(input)
  return await running.finished
}

/** Asks until the answer is true; fails after ten seconds with `what`. */
export async function eventually(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await isTrue()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`did not come about: ${what}`)
}
