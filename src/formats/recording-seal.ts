// Making and opening chunks with the session's key; layout and key derivation: recording-chunk.ts.
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'
import { ownBytes } from './own-bytes.ts'
import {
  CHUNK_HEADER_SIZE,
  type ChunkHeader,
  type Counters,
  encodeFileHeader,
  type FileHeader,
  keyMark,
  LONGEST_BODY,
  RecordingAltered,
  sessionBytes,
  TAG_SIZE,
  writeChunkHeader,
} from './recording-chunk.ts'

const CIPHER = 'aes-256-gcm'
const NO_BYTES = Buffer.alloc(0)
/** Most ciphers that a busy session has ready: making many in a row costs a fraction of making each between other work. */
const MOST_READY = 16

interface FileKeys {
  readonly content: KeyObject
  readonly nonceBase: Buffer
  readonly check: Buffer
}

function deriveKeys(key: Uint8Array, salt: Uint8Array, session: Buffer): FileKeys {
  if (key.length !== 32) throw new RangeError('a session key is 32 bytes')
  const info = Buffer.concat([Buffer.from('sallyport recording 1\0', 'latin1'), session])
  const derived = Buffer.from(hkdfSync('sha256', key, salt, info, 76))
  return {
    content: createSecretKey(derived.subarray(0, 32)),
    nonceBase: derived.subarray(32, 44),
    check: derived.subarray(44, 76),
  }
}

function nonceOf(keys: FileKeys, index: number): Buffer {
  const nonce = Buffer.from(keys.nonceBase)
  nonce.writeUInt32BE((nonce.readUInt32BE(4) ^ Math.floor(index / 2 ** 32)) >>> 0, 4)
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (index % 2 ** 32)) >>> 0, 8)
  return nonce
}

/** Seals a file's chunks in order. Each is sealed once and must be stored as it is or not at all. */
export class ChunkSealer {
  readonly fileHeader: Buffer
  readonly #session: Buffer
  readonly #keyMark: Buffer
  readonly #keys: FileKeys
  #index = 0
  /** Digest of what stands before the next chunk, a byte a character; null: not computed yet, of `#last` */
  #previous: string | null
  #last: Buffer
  /** Of the next chunks, in their order; each works with the nonce of its own chunk alone */
  readonly #ready: CipherGCM[] = []
  /** Chunks in a row for which there was no rest */
  #run = 0
  #closed = false

  /** `salt`: 32 random bytes, never used before. `time`: ms since 1970. */
  constructor(file: {
    readonly session: string
    readonly keyId: string
    readonly key: Uint8Array
    readonly salt: Buffer
    readonly time: number
  }) {
    this.#session = ownBytes(sessionBytes(file.session))
    this.#keyMark = keyMark(file.keyId)
    this.#keys = deriveKeys(file.key, file.salt, this.#session)
    this.fileHeader = encodeFileHeader({ ...file, keyCheck: this.#keys.check })
    this.#previous = null
    this.#last = this.fileHeader
  }

  /**
   * Digest of the chunk sealed last, of the file header before the first: 32 characters, each a byte. A buffer would be made
   * outside of V8, which costs as much as the hash.
   */
  get digest(): string {
    return (this.#previous ??= hash('sha256', this.#last, 'binary'))
  }

  /** Makes what the next chunk needs while there is time: a keystroke waits for its chunk. */
  prepare(): void {
    if (this.#closed) return
    this.#previous = this.digest
    this.#last = NO_BYTES
    if (this.#ready.length === 0) this.#ready.push(this.#cipher(this.#index))
  }

  /** Drops it again: an idle session should not hold it. */
  rest(): void {
    this.#ready.length = 0
    this.#run = 0
  }

  #cipher(index: number): CipherGCM {
    return createCipheriv(CIPHER, this.#keys.content, nonceOf(this.#keys, index))
  }

  /** The busier, the more are made at once. */
  #nextCipher(): CipherGCM {
    this.#run += 1
    const ready = this.#ready.shift()
    if (ready) return ready
    for (let ahead = 1; ahead < Math.min(this.#run, MOST_READY); ahead++)
      this.#ready.push(this.#cipher(this.#index + ahead))
    return this.#cipher(this.#index)
  }

  /** The whole chunk, in a buffer of its own. `body`: 1 byte to LONGEST_BODY. */
  seal(
    body: Buffer,
    counters: Counters,
    time: number,
    flags: { readonly last: boolean; readonly gap: boolean },
  ): Buffer {
    if (this.#closed) throw new RangeError('nothing comes after the last chunk')
    if (body.length < 1 || body.length > LONGEST_BODY) throw new RangeError('a body is 1 byte to 1 MiB')
    const chunk = Buffer.allocUnsafe(CHUNK_HEADER_SIZE + body.length + TAG_SIZE)
    writeChunkHeader(chunk, {
      ...flags,
      bodyLength: body.length,
      index: this.#index,
      session: this.#session,
      keyMark: this.#keyMark,
      previous: this.digest,
      time,
      counters,
    })
    const cipher = this.#nextCipher()
    cipher.setAAD(chunk.subarray(0, CHUNK_HEADER_SIZE))
    cipher.update(body).copy(chunk, CHUNK_HEADER_SIZE)
    cipher.final()
    cipher.getAuthTag().copy(chunk, CHUNK_HEADER_SIZE + body.length)
    this.#index += 1
    this.#closed = flags.last
    this.#previous = null
    this.#last = chunk
    return chunk
  }
}

/** Opens the chunks of one file. */
export class ChunkOpener {
  readonly #keys: FileKeys

  private constructor(keys: FileKeys) {
    this.#keys = keys
  }

  /** `null`: the key is not that of this file. */
  static open(header: FileHeader, key: Uint8Array): ChunkOpener | null {
    const keys = deriveKeys(key, header.salt, sessionBytes(header.session))
    return timingSafeEqual(keys.check, header.keyCheck) ? new ChunkOpener(keys) : null
  }

  /** The body of a chunk whose place in the chain was checked. Errors: RecordingAltered. */
  body(header: ChunkHeader, chunk: Buffer): Buffer {
    const tagAt = CHUNK_HEADER_SIZE + header.bodyLength
    const decipher = createDecipheriv(CIPHER, this.#keys.content, nonceOf(this.#keys, header.index), {
      authTagLength: TAG_SIZE,
    })
    decipher.setAAD(chunk.subarray(0, CHUNK_HEADER_SIZE))
    decipher.setAuthTag(chunk.subarray(tagAt, tagAt + TAG_SIZE))
    const body = decipher.update(chunk.subarray(CHUNK_HEADER_SIZE, tagAt))
    try {
      decipher.final()
    } catch {
      throw new RecordingAltered(header.index, 'does not open with the key of its session')
    }
    return body
  }
}
