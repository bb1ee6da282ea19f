/** Frames of this length and more are made in memory that is used again; smaller ones have their own. */
const LARGE = 8 * 1024
/** Two frames of 32 KiB and some small ones: what comes out of one read. */
const BLOCK = 68 * 1024
/** Free blocks of all legs of the process */
const MOST_FREE = 8

const free: Buffer[] = []

function giveBack(blocks: readonly Buffer[]): void {
  for (const block of blocks) if (free.length < MOST_FREE) free.push(block)
}

export interface Batch {
  readonly pieces: readonly Buffer[]
  /** The bytes have left: their memory is used again. */
  release(): void
}

/** What one leg is about to write, in order: frames that follow each other in memory are one piece. */
export class Outgoing {
  #pieces: Buffer[] = []
  #blocks: Buffer[] = []
  /** The last block; what `room` gave of it and `add` took */
  #block: Buffer | null = null
  #from = 0
  #used = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Memory for one frame, to be given to `add` next. */
  room(size: number): Buffer {
    if (this.#block !== null && size <= this.#block.length - this.#used) {
      return this.#block.subarray(this.#used, this.#used + size)
    }
    if (size < LARGE || size > BLOCK) return Buffer.allocUnsafeSlow(size)
    this.#closePiece()
    this.#block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK)
    this.#blocks.push(this.#block)
    this.#from = this.#used = 0
    return this.#block.subarray(0, size)
  }

  add(frame: Buffer): void {
    this.#bytes += frame.length
    if (this.#block !== null && frame.buffer === this.#block.buffer) {
      this.#used += frame.length
      return
    }
    this.#closePiece()
    this.#pieces.push(frame)
  }

  /** Everything, which is then forgotten here. */
  take(): Batch {
    this.#closePiece()
    const pieces = this.#pieces
    const blocks = this.#blocks
    this.#pieces = []
    this.#blocks = []
    this.#block = null
    this.#bytes = 0
    return { pieces, release: () => giveBack(blocks) }
  }

  /** A frame with memory of its own comes next; the block goes on behind it. */
  #closePiece(): void {
    if (this.#block === null || this.#used === this.#from) return
    this.#pieces.push(this.#block.subarray(this.#from, this.#used))
    this.#from = this.#used
  }
}
