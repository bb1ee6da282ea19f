import { randomFillSync } from 'node:crypto'

/** One prefix per kind, so that an id of one kind is never mistaken for another. */
export const ID_PREFIX = {
  installation: 'ins',
  user: 'usr',
  factor: 'fac',
  invitation: 'inv',
  login: 'lgn',
  service_token: 'tok',
  role: 'rol',
  node: 'nod',
  database: 'dtb',
  just_in_time_user: 'jit',
  lock: 'lck',
  authority: 'aut',
  review_rule: 'rul',
  policy: 'pol',
  integration: 'int',
  chat_account: 'cha',
  request: 'req',
  review: 'rvw',
  note: 'nte',
  grant: 'grt',
  delegation: 'dlg',
  acknowledgement: 'ack',
  authorization: 'azn',
  door: 'dor',
  session: 'ses',
  instance: 'ist',
  event: 'evt',
  delivery: 'dlv',
  message: 'msg',
  attempt: 'att',
} as const

export type IdKind = keyof typeof ID_PREFIX
export type Id<K extends IdKind> = `${(typeof ID_PREFIX)[K]}_${string}`

/** Asked of the system many at a time: each question costs more than its bytes. */
const pool = Buffer.alloc(4096)
let used = pool.length

/** Up to 64 random bytes that nobody else was given. Not for keys: what was given stays in the pool until it is filled anew. */
export function someRandomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + count))
  used += count
  return bytes
}

/** In [0, 1): spreads what would otherwise be done by everybody at once. */
export const randomFraction = (): number => someRandomBytes(6).readUIntBE(0, 6) / 2 ** 48

/** The 12 bits behind the time: what this process makes within one millisecond sorts in the order in which it was made. */
const last = { time: 0, counter: 0 }

/**
 * `req_019aa3c4-....`: the kind's prefix and a UUIDv7 of the given instant (RFC 9562 section 5.7, with the counter of section
 * 6.2, method 1). Up to 2048 ids of one process and millisecond sort as they were made.
 */
export function newId<K extends IdKind>(kind: K, now: number): Id<K> {
  const b = someRandomBytes(16)
  // It starts in the lower half, so that there is room above it.
  const counter = now === last.time && last.counter < 0xfff ? last.counter + 1 : b.readUInt16BE(6) & 0x7ff
  last.time = now
  last.counter = counter
  b.writeUIntBE(now, 0, 6)
  b.writeUInt16BE(0x7000 | counter, 6)
  b[8] = (b[8]! & 0x3f) | 0x80
  const h = b.toString('hex')
  return `${ID_PREFIX[kind]}_${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}` as Id<K>
}

export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return (
    text.startsWith(`${ID_PREFIX[kind]}_`) &&
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text.slice(ID_PREFIX[kind].length + 1))
  )
}
