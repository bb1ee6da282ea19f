// RFC 4253 section 4.2: a server may send lines before `SSH-2.0-software comments CR LF`; a client may not.
import { DISCONNECT_REASON } from './messages.ts'
import { ProtocolError } from './protocol-error.ts'

/** With CR LF */
const MAX_IDENT = 255
const MAX_BEFORE = 8192

/** Collects bytes until the identification line is complete. */
export class IdentReader {
  readonly #linesBefore: boolean
  #bytes: Buffer = Buffer.alloc(0)
  #skipped = 0

  constructor(options: { readonly linesBeforeAllowed: boolean }) {
    this.#linesBefore = options.linesBeforeAllowed
  }

  /** The line without its end and the bytes after it, or null when there is no complete line yet. */
  push(chunk: Buffer): { readonly ident: string; readonly rest: Buffer } | null {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const end = this.#bytes.indexOf(0x0a)
      this.#refuseEarly(end < 0 ? this.#bytes.length : end + 1)
      if (end < 0) return null
      const line = this.#bytes.subarray(0, end)
      const rest = this.#bytes.subarray(end + 1)
      if (startsLikeSsh(line)) return { ident: readIdent(line), rest }
      this.#skipped += end + 1
      this.#bytes = rest
    }
  }

  /** Judges the first `length` bytes, of a line that may not be complete. */
  #refuseEarly(length: number): void {
    const isIdent = startsLikeSsh(this.#bytes.subarray(0, length))
    if (isIdent && length > MAX_IDENT) throw new ProtocolError('identification too long')
    if (isIdent) return
    if (!this.#linesBefore) throw new ProtocolError('no SSH identification')
    if (this.#skipped + length > MAX_BEFORE) throw new ProtocolError('too much text before the identification')
  }
}

/** True also for a prefix of `SSH-`. */
function startsLikeSsh(line: Buffer): boolean {
  const start = line.toString('latin1', 0, 4)
  return 'SSH-'.startsWith(start)
}

function readIdent(line: Buffer): string {
  const text = line.toString('latin1').replace(/\r$/, '')
  // Visible ASCII only: it is logged, and hashed exactly as it came.
  if (!/^[\x20-\x7e]*$/.test(text)) throw new ProtocolError('odd character in the identification')
  if (!/^SSH-2\.0-./.test(text)) {
    throw new ProtocolError('only SSH 2.0 is spoken here', DISCONNECT_REASON.PROTOCOL_VERSION_NOT_SUPPORTED)
  }
  return text
}
