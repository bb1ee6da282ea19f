// Following a recording's chain without its key; layout: recording-chunk.ts.
import {
  type ChunkHeader,
  type Counters,
  decodeChunkHeader,
  type FileHeader,
  keyMark,
  RecordingAltered,
  sessionBytes,
  sha256,
} from './recording-chunk.ts'

const COUNTERS = ['bytes', 'packets', 'statements', 'channels'] as const satisfies readonly (keyof Counters)[]

/** Takes a file's chunks in order and says which one is not what must stand there. */
export class ChunkChain {
  readonly #session: Buffer
  readonly #keyMark: Buffer
  #previous: Buffer
  #chunks = 0
  #last: ChunkHeader | null = null

  /** `headerBytes`: the file header as stored, from which `header` was decoded. */
  constructor(header: FileHeader, headerBytes: Buffer) {
    this.#session = sessionBytes(header.session)
    this.#keyMark = keyMark(header.keyId)
    this.#previous = sha256(headerBytes)
  }

  get chunks(): number {
    return this.#chunks
  }

  /** Of the chunk taken last; of the file header before the first. */
  get digest(): Buffer {
    return this.#previous
  }

  get last(): ChunkHeader | null {
    return this.#last
  }

  /** `bytes`: at least a chunk header, at the place where the next chunk must begin. Errors: RecordingAltered. */
  header(bytes: Buffer): ChunkHeader {
    const at = this.#chunks
    if (this.#last?.last) throw new RecordingAltered(at, 'comes after the last chunk')
    const header = decodeChunkHeader(bytes, at)
    if (!header.session.equals(this.#session)) throw new RecordingAltered(at, 'belongs to another session')
    if (!header.keyMark.equals(this.#keyMark)) throw new RecordingAltered(at, 'names another key')
    if (header.index !== at) throw new RecordingAltered(at, `says it is number ${header.index}`)
    if (!header.previous.equals(this.#previous)) throw new RecordingAltered(at, 'does not follow the chunk before it')
    const before = this.#last
    if (before !== null) {
      if (COUNTERS.some((name) => header.counters[name] < before.counters[name])) {
        throw new RecordingAltered(at, 'counts less than the chunk before it')
      }
      if (before.gap && !header.gap) throw new RecordingAltered(at, 'hides a gap')
    }
    return header
  }

  /** Moves on: `chunk` is the whole chunk whose header was just read. */
  accept(header: ChunkHeader, chunk: Buffer): void {
    this.#previous = sha256(chunk)
    this.#last = { ...header, session: this.#session, keyMark: this.#keyMark, previous: Buffer.from(header.previous) }
    this.#chunks += 1
  }
}
