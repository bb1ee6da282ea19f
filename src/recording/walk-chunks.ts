import { open } from 'node:fs/promises'
import { ChunkChain } from '../formats/recording-chain.ts'
import {
  CHUNK_HEADER_SIZE,
  type ChunkHeader,
  decodeFileHeader,
  type FileHeader,
  LONGEST_CHUNK,
  LONGEST_FILE_HEADER,
  TAG_SIZE,
} from '../formats/recording-chunk.ts'
import type { RecordingHead } from './chunk-file.ts'

export interface WalkedChunk {
  readonly file: FileHeader
  readonly header: ChunkHeader
  /** The whole chunk; valid until the next one is asked for */
  readonly bytes: Buffer
  /** Of this chunk */
  readonly digest: Buffer
  /** Where in the file it ends */
  readonly end: number
}

export interface WalkEnd {
  /** null: not even the file header is whole */
  readonly file: FileHeader | null
  readonly head: RecordingHead | null
  /** The last chunk says that it is the last. */
  readonly closed: boolean
  /** It says that something is missing. */
  readonly gap: boolean
  /** Behind the last whole chunk */
  readonly tornBytes: number
}

const READ_SIZE = 256 * 1024

/**
 * A file's chunks, each checked for its place in the chain, without a key. Ends where the last whole chunk ends: a file that
 * was cut is no error. Errors: RecordingAltered with the first chunk that is not what must stand there; those of open(2), read(2).
 */
export async function* walkChunks(path: string): AsyncGenerator<WalkedChunk, WalkEnd> {
  await using handle = await open(path, 'r')
  const window = new Window((into, position) => handle.read(into, 0, into.length, position).then((r) => r.bytesRead))
  const start = decodeFileHeader(await window.atLeast(LONGEST_FILE_HEADER))
  if (start === null) return { file: null, head: null, closed: false, gap: false, tornBytes: window.left }
  // The window's memory is used again: what is kept is copied.
  const headerBytes = Buffer.from((await window.atLeast(start.size)).subarray(0, start.size))
  const file = decodeFileHeader(headerBytes)?.header ?? start.header
  window.skip(start.size)
  const chain = new ChunkChain(file, headerBytes)
  let bytes = start.size
  for (;;) {
    const front = await window.atLeast(CHUNK_HEADER_SIZE)
    if (front.length < CHUNK_HEADER_SIZE) break
    const header = chain.header(front)
    const size = CHUNK_HEADER_SIZE + header.bodyLength + TAG_SIZE
    const there = await window.atLeast(size)
    if (there.length < size) break
    const chunk = there.subarray(0, size)
    chain.accept(header, chunk)
    bytes += size
    yield { file, header: chain.last ?? header, bytes: chunk, digest: chain.digest, end: bytes }
    window.skip(size)
  }
  const head = { chunks: chain.chunks, bytes, digest: chain.digest.toString('hex') }
  const { last = false, gap = false } = chain.last ?? {}
  return { file, head, closed: last, gap, tornBytes: window.left }
}

/** Reads ahead in a file, in order. */
class Window {
  readonly #read: (into: Buffer, position: number) => Promise<number>
  #buffer = Buffer.allocUnsafeSlow(READ_SIZE)
  #start = 0
  #end = 0
  #position = 0
  #isAtEnd = false

  constructor(read: (into: Buffer, position: number) => Promise<number>) {
    this.#read = read
  }

  /** Bytes that were read and not skipped */
  get left(): number {
    return this.#end - this.#start
  }

  skip(size: number): void {
    this.#start += size
  }

  /** A view of what comes next: `size` bytes or more, fewer only at the end of the file. */
  async atLeast(size: number): Promise<Buffer> {
    if (size > LONGEST_CHUNK) throw new RangeError('more than a chunk')
    while (this.left < size && !this.#isAtEnd) {
      this.#makeRoom(size)
      const got = await this.#read(this.#buffer.subarray(this.#end), this.#position)
      this.#end += got
      this.#position += got
      this.#isAtEnd = got === 0
    }
    return this.#buffer.subarray(this.#start, this.#end)
  }

  #makeRoom(size: number): void {
    const wanted = Math.max(size, READ_SIZE)
    const target = this.#buffer.length < wanted ? Buffer.allocUnsafeSlow(wanted) : this.#buffer
    this.#buffer.copy(target, 0, this.#start, this.#end)
    this.#buffer = target
    this.#end -= this.#start
    this.#start = 0
  }
}
