import { hash } from 'node:crypto'
import { closeSync, fdatasyncSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { ensurePrivateFile } from '../foundation/database/private-files.ts'
import { Bug } from '../foundation/errors.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import type { SpilledOrder } from './deed.ts'

// Orders that take power away while the store cannot write. The file is written full of zeros when it is made, so that
// keeping an order never needs space that a full disk does not have. Layout: records one after the other, each
// `u32 length (big endian) | SHA-256 of the JSON, 32 bytes | JSON`; a zero length ends them. A done record has the top bit of
// its length set.

/** An ordinary order takes about 200 bytes. */
const FILE_BYTES = 1024 * 1024
const DONE = 0x8000_0000
const HEADER = 36

export interface KeptOrder {
  readonly order: SpilledOrder
  /** Where its record starts; null: only in memory, the file was full */
  readonly offset: number | null
}

export interface SpillFile {
  /** Synced to the disk when it returns. Never throws for lack of room: then the order is kept in memory. */
  keep(order: SpilledOrder): KeptOrder
  /** Not yet done, oldest first. */
  kept(): readonly KeptOrder[]
  done(kept: KeptOrder): void
  close(): void
}

/** Opens or makes the file (0600, in a 0700 folder). A record cut short by a crash was never acknowledged and is dropped. */
export function openSpillFile(path: string, onFull: (order: SpilledOrder) => void = () => {}): SpillFile {
  ensurePrivateFile(path)
  const fd = openSync(path, 'r+')
  preallocate(fd, path)
  return new PreallocatedSpillFile(fd, onFull)
}

/** For tests, and stores that live in memory. */
export function spillInMemory(): SpillFile {
  const orders: KeptOrder[] = []
  return {
    keep(order) {
      const kept = { order, offset: null }
      orders.push(kept)
      return kept
    },
    kept: () => [...orders],
    done: (kept) => void orders.splice(orders.indexOf(kept), 1),
    close: () => {},
  }
}

class PreallocatedSpillFile implements SpillFile {
  readonly #fd: number
  readonly #onFull: (order: SpilledOrder) => void
  #orders: KeptOrder[]
  #end: number

  constructor(fd: number, onFull: (order: SpilledOrder) => void) {
    this.#fd = fd
    this.#onFull = onFull
    const { orders, end } = readRecords(fd)
    this.#orders = orders
    this.#end = end
  }

  keep(order: SpilledOrder): KeptOrder {
    const json = Buffer.from(canonicalJson(order))
    const fits = this.#end + HEADER + json.length + 4 <= FILE_BYTES
    if (!fits) this.#onFull(order)
    const kept = { order, offset: fits ? this.#end : null }
    if (fits) this.#write(json)
    this.#orders.push(kept)
    return kept
  }

  #write(json: Buffer): void {
    const record = Buffer.alloc(HEADER + json.length + 4)
    record.writeUInt32BE(json.length)
    record.write(hash('sha256', json, 'hex'), 4, 'hex')
    json.copy(record, HEADER)
    // The four zero bytes at its end overwrite what an earlier round left there.
    writeFully(this.#fd, record, this.#end)
    fdatasyncSync(this.#fd)
    this.#end += record.length - 4
  }

  kept(): readonly KeptOrder[] {
    return [...this.#orders]
  }

  done(kept: KeptOrder): void {
    const index = this.#orders.indexOf(kept)
    if (index < 0) throw new Bug('this order is not kept')
    this.#orders.splice(index, 1)
    if (kept.offset === null) return
    const mark = Buffer.alloc(4)
    if (this.#orders.every((order) => order.offset === null)) {
      writeFully(this.#fd, mark, 0)
      this.#end = 0
    } else {
      readSync(this.#fd, mark, 0, 4, kept.offset)
      mark.writeUInt32BE((mark.readUInt32BE() | DONE) >>> 0)
      writeFully(this.#fd, mark, kept.offset)
    }
    fdatasyncSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

function preallocate(fd: number, path: string): void {
  const missing = FILE_BYTES - fstatSync(fd).size
  if (missing <= 0) return
  // Real zeros: ftruncate would make a hole, and filling a hole needs space.
  writeFully(fd, Buffer.alloc(missing), FILE_BYTES - missing)
  fsyncSync(fd)
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function readRecords(fd: number): { orders: KeptOrder[]; end: number } {
  const bytes = Buffer.alloc(FILE_BYTES)
  readSync(fd, bytes, 0, FILE_BYTES, 0)
  const orders: KeptOrder[] = []
  let end = 0
  while (end + HEADER <= FILE_BYTES) {
    const word = bytes.readUInt32BE(end)
    const length = word & ~DONE
    const json = bytes.subarray(end + HEADER, end + HEADER + length)
    if (length === 0 || json.length < length) break
    if (bytes.toString('hex', end + 4, end + HEADER) !== hash('sha256', json, 'hex')) break
    if ((word & DONE) === 0) orders.push({ order: JSON.parse(json.toString()) as SpilledOrder, offset: end })
    end += HEADER + length
  }
  return { orders, end: orders.length === 0 ? 0 : end }
}

function writeFully(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
}
