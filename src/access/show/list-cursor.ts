import { z } from 'zod'
import { REQUEST_STATES } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'

/** A place in a list: behind the request `id` made at `createdAt`, within those in `state` when states come first. */
export interface Place {
  readonly state: (typeof REQUEST_STATES)[number] | null
  readonly createdAt: number
  /** Null: behind everything made at that instant. So the id of a request that the caller must not know of never leaves. */
  readonly id: string | null
}

export interface ListOrder {
  readonly sort: 'created' | 'state'
  readonly order: 'asc' | 'desc'
}

const Written = z.tuple([
  z.enum(['created', 'state']),
  z.enum(['asc', 'desc']),
  z.enum(REQUEST_STATES).nullable(),
  z.int().min(0),
  z
    .string()
    .regex(/^req_[0-9a-f-]{36}$/)
    .nullable(),
])

export function cursorOf({ sort, order }: ListOrder, { state, createdAt, id }: Place): string {
  return Buffer.from(JSON.stringify([sort, order, state, createdAt, id])).toString('base64url')
}

/** Errors: Refused('malformed') for what this list never gave. */
export function placeOf(text: string, { sort, order }: ListOrder): Place {
  const read = Written.safeParse(parsed(text))
  if (read.success) {
    const [writtenSort, writtenOrder, state, createdAt, id] = read.data
    if (writtenSort === sort && writtenOrder === order && (state !== null) === (sort === 'state'))
      return { state, createdAt, id }
  }
  throw new Refused('malformed', 'that is no cursor of this list', 'start without one')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown
  } catch {
    return null
  }
}
