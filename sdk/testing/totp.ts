import { createHmac } from 'node:crypto'

const STEP_MS = 30_000
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Codes of an authenticator app (RFC 6238: SHA-1, six digits, 30 s). Each works once, so none is given twice. */
export class Authenticator {
  readonly #key: Buffer
  readonly #now: () => number
  #last = 0

  constructor(secret: string, now: () => number) {
    this.#key = fromBase32(secret)
    this.#now = now
  }

  /** The daemon takes the step before, the current and the next one. Waits for the next when all three are used. */
  async code(): Promise<string> {
    for (;;) {
      const current = Math.floor(this.#now() / STEP_MS)
      const step = Math.max(this.#last + 1, current - 1)
      if (step <= current + 1) {
        this.#last = step
        return codeAt(this.#key, step)
      }
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
}

function codeAt(key: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', key).update(counter).digest()
  const at = (mac.at(-1) ?? 0) & 15
  return String((mac.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, '0')
}

function fromBase32(text: string): Buffer {
  const bits = [...text.replaceAll('=', '')]
    .map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0'))
    .join('')
  const bytes = bits.match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))
}
