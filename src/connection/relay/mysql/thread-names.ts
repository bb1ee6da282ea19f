import { createHash, randomBytes, randomInt } from 'node:crypto'
import { threadIdFrom } from './wire/thread-ids.ts'
import { SCRAMBLE_BYTES } from './wire/greeting.ts'

/** Whose thread it is: only the same person with the same login session's user, in the same account, may kill it by our id. */
export interface ThreadOwner {
  readonly userId: string
  readonly databaseId: string
  readonly dbUser: string
}

interface NamedThread extends ThreadOwner {
  readonly threadId: number
}

/**
 * What another worker or daemon is asked by for a thread that has this id and this owner: without knowing both, nobody learns
 * anything of it.
 */
export const digestOfThread = (id: number, { userId, databaseId, dbUser }: ThreadOwner): string =>
  createHash('sha256')
    .update(JSON.stringify(['mysql thread', id, userId, databaseId, dbUser]))
    .digest('hex')

/** The thread ids that this worker has given to clients, and the server's for those whose sessions live. */
export class ThreadNames {
  readonly #given = new Map<number, NamedThread | null>()
  readonly #byDigest = new Map<string, number>()

  /** An id that nobody has at the moment. */
  give(): number {
    for (;;) {
      const id = threadIdFrom(randomInt(2 ** 31))
      if (this.#given.has(id)) continue
      this.#given.set(id, null)
      return id
    }
  }

  bind(id: number, thread: NamedThread): void {
    this.#given.set(id, thread)
    this.#byDigest.set(digestOfThread(id, thread), thread.threadId)
  }

  takeBack(id: number): void {
    const thread = this.#given.get(id)
    if (thread) this.#byDigest.delete(digestOfThread(id, thread))
    this.#given.delete(id)
  }

  /** Null: not known, or somebody else's. */
  resolve(id: number, { userId, databaseId, dbUser }: ThreadOwner): number | null {
    const thread = this.#given.get(id)
    const isOwn = thread?.userId === userId && thread.databaseId === databaseId && thread.dbUser === dbUser
    return isOwn ? thread.threadId : null
  }

  /** The server's id of the thread that another worker asks for; null: it is not of this one. */
  find(digest: string): number | null {
    return this.#byDigest.get(digest) ?? null
  }
}

/** Nothing is proven by the answer to it, but clients refuse a scramble with a NUL in it. */
export function newScramble(): Buffer {
  const scramble = randomBytes(SCRAMBLE_BYTES)
  for (const [index, byte] of scramble.entries()) scramble[index] = byte & 0x7f || 1
  return scramble
}
