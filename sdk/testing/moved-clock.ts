import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// The daemon has no switch for its clock, and shall have none. This one is put under it from outside: a module that Node loads
// first moves Date.now by what a file says. Timers run as ever; what the wall clock decides (ends, expiry, codes, tokens) moves.

const PRELOAD = `import { readFileSync, writeFileSync } from 'node:fs'
const folder = process.env.SALLYPORT_TEST_CLOCK
const real = Date.now
let offset = 0
let seen = ''
const look = () => {
  const text = readFileSync(folder + '/offset', 'utf8')
  if (text === seen) return
  offset = Number(text)
  seen = text
  writeFileSync(folder + '/seen-' + process.pid, text)
}
look()
Date.now = () => real() + offset
setInterval(look, 20).unref()
`

export class MovedClock {
  readonly #folder: string
  #offset = 0

  constructor(folder: string) {
    this.#folder = folder
    writeFileSync(join(folder, 'preload.mjs'), PRELOAD)
    this.#write()
  }

  get env(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `--import=${join(this.#folder, 'preload.mjs')}`,
      SALLYPORT_TEST_CLOCK: this.#folder,
    }
  }

  readonly now = (): number => Date.now() + this.#offset

  /** Resolves when every process of the daemon that `isAlive` has seen it. */
  async advance(ms: number, isAlive: (pid: number) => boolean): Promise<void> {
    if (!Number.isSafeInteger(ms) || ms < 0) throw new RangeError('time goes forward, by whole milliseconds')
    this.#offset += ms
    this.#write()
    const text = String(this.#offset)
    const behind = (): boolean =>
      readdirSync(this.#folder)
        .filter((name) => name.startsWith('seen-') && isAlive(Number(name.slice(5))))
        .some((name) => readFileSync(join(this.#folder, name), 'utf8') !== text)
    while (behind()) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  #write(): void {
    const path = join(this.#folder, 'offset')
    writeFileSync(`${path}.new`, String(this.#offset))
    renameSync(`${path}.new`, path)
  }
}
