import type { AccessRequest, RequestState } from '../../contract/request.ts'
import { REQUEST_STATES } from '../../contract/request.ts'
import { matchesAny } from '../../identity/patterns.ts'
import type { PinnedRole } from '../../grants/stored-grant.ts'
import { mayOperate, maySee, memberOf, type Caller } from '../caller.ts'
import { loadDirectory, type Directory, type Reader } from '../directory.ts'
import { loadCases, type RequestCase } from '../request-case.ts'
import { cursorOf, placeOf, type ListOrder, type Place } from './list-cursor.ts'
import { nextFound, type Found, type Source, type Term } from './list-source.ts'
import { presentRequest, stateAt } from './present-request.ts'

export interface ListQuery {
  /** reviewed: those that I ever voted on, or somebody for me */
  readonly scope: 'mine' | 'reviewable' | 'reviewed' | 'all'
  readonly state?: RequestState | undefined
  readonly user?: string | undefined
  readonly role?: string | undefined
  /** `kind/name` */
  readonly resource?: string | undefined
  /** A user's name, or `rule:NAME` */
  readonly reviewer?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** In the reason and in names, whatever the case */
  readonly text?: string | undefined
  readonly sort?: ListOrder['sort'] | undefined
  readonly order?: ListOrder['order'] | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface RequestPage {
  items: AccessRequest[]
  next: string | null
}

const DEFAULT_LIMIT = 50
/** Rows looked at in one go, at first no more than a page may need */
const CHUNK = 500
const GROWTH = 4
/** Work for one page: somebody who may see little of much gets a short page and a cursor, not a slow answer. */
const LONGEST_LOOK = 5000
/** Reading a request with all that decides about it costs as much as looking at so many rows. */
const READING = 20

/** A page may be short or empty and still have a `next`. Errors: Refused('malformed') for a strange cursor. */
export async function listRequests(
  reader: Reader,
  now: number,
  caller: Caller,
  query: ListQuery,
): Promise<RequestPage> {
  const order: ListOrder = { sort: query.sort ?? 'created', order: query.order ?? 'desc' }
  const start = query.cursor === undefined ? null : placeOf(query.cursor, order)
  const directory = await loadDirectory(reader, now)
  const source = await sourceOf(reader, caller, query)
  const page = new Page(reader, { caller, query, directory, now, order, source })
  for (const state of segmentsFrom(order, query.scope === 'reviewable' ? 'pending' : query.state, start)) {
    const next = await page.fill(state, start?.state === state ? start : null)
    if (next) return { items: page.items, next: cursorOf(order, next) }
  }
  return { items: page.items, next: null }
}

/** The list is made of one stretch, or of one for each state in turn. */
function segmentsFrom(
  { sort, order }: ListOrder,
  wanted: RequestState | undefined,
  start: Place | null,
): Place['state'][] {
  if (sort === 'created') return [null]
  const states = REQUEST_STATES.filter((state) => wanted === undefined || storedAs(wanted).includes(state)).toSorted()
  if (order === 'desc') states.reverse()
  return start?.state ? states.slice(Math.max(0, states.indexOf(start.state))) : states
}

/** What the clock has expired may still be stored as pending. */
const storedAs = (state: RequestState): readonly RequestState[] =>
  state === 'expired' ? ['expired', 'pending'] : [state]

interface Asked {
  readonly caller: Caller
  readonly query: ListQuery
  readonly directory: Directory
  readonly now: number
  readonly order: ListOrder
  readonly source: Source
}

class Page {
  readonly items: AccessRequest[] = []
  readonly #reader: Reader
  readonly #asked: Asked
  readonly #limit: number
  readonly #mayKnow: (row: Found) => boolean
  #spent = 0
  #chunk: number

  constructor(reader: Reader, asked: Asked) {
    this.#reader = reader
    this.#asked = asked
    this.#limit = asked.query.limit ?? DEFAULT_LIMIT
    this.#chunk = Math.min(CHUNK, this.#limit)
    this.#mayKnow = knowledgeOf(asked.caller, asked.directory)
  }

  /** Where to go on when the page is full or has cost enough; null = this stretch is through. */
  async fill(state: Place['state'], start: Place | null): Promise<Place | null> {
    let place = start
    for (;;) {
      const { rows, more } = await this.#next(state, place)
      // Cut between two instants: then a place needs no id, which might be that of a request that must not be known.
      const last = place
      const tired = this.#spent >= LONGEST_LOOK && last !== null
      const used = tired ? rows.slice(0, lengthOfInstant(rows, last.createdAt)) : rows
      const full = await this.#take(used)
      if (full) return { state, createdAt: full.created_at, id: full.id }
      if (tired && used.length < rows.length) return { state, createdAt: last.createdAt, id: null }
      const end = used.at(-1)
      if (!end || !more) return null
      place = { state, createdAt: end.created_at, id: end.id }
    }
  }

  async #next(state: Place['state'], place: Place | null): Promise<{ rows: Found[]; more: boolean }> {
    const most = this.#chunk
    this.#chunk = Math.min(CHUNK, most * GROWTH)
    const { query, order, source } = this.#asked
    const states = state !== null ? [state] : query.state === undefined ? [source.state] : storedAs(query.state)
    const found = await Promise.all(
      states.map((each) => nextFound(this.#reader, { ...source, state: each }, order.order, place, most)),
    )
    const all = found.length === 1 ? (found[0] ?? []) : found.flat().sort(inOrder(order.order)).slice(0, most)
    this.#spent += all.length
    // Who voted under a name that two people have had is found twice.
    return { rows: all.filter((row, index) => row.id !== all[index - 1]?.id), more: all.length >= most }
  }

  /** The row that filled the page, or null. */
  async #take(rows: readonly Found[]): Promise<Found | null> {
    const wanted = rows.filter((row) => this.#isWanted(row))
    for (let at = 0; at < wanted.length;) {
      const some = wanted.slice(at, at + this.#limit - this.items.length)
      at += some.length
      this.#spent += some.length * READING
      for (const loaded of await loadCases(
        this.#reader,
        some.map((row) => row.id),
        this.#asked.directory,
      )) {
        const shown = presentIfWanted(loaded, this.#asked)
        if (shown) this.items.push(shown)
        if (this.items.length === this.#limit) return rows.find((row) => row.id === loaded.request.id) ?? null
      }
    }
    return null
  }

  #isWanted(row: Found): boolean {
    const { query, now } = this.#asked
    if (query.state !== undefined && stateAt(row, now) !== query.state) return false
    if (query.scope === 'reviewable' && stateAt(row, now) !== 'pending') return false
    if (query.text !== undefined && !row.words.includes(query.text.toLowerCase())) return false
    return this.#mayKnow(row)
  }
}

function lengthOfInstant(rows: readonly Found[], createdAt: number): number {
  const after = rows.findIndex((row) => row.created_at !== createdAt)
  return after === -1 ? rows.length : after
}

function inOrder(order: 'asc' | 'desc'): (a: Found, b: Found) => number {
  const sign = order === 'asc' ? 1 : -1
  return (a, b) => sign * (a.created_at - b.created_at || (a.id < b.id ? -1 : 1))
}

async function sourceOf(reader: Reader, caller: Caller, query: ListQuery): Promise<Source> {
  const terms: Term[] = []
  if (query.scope === 'reviewed') terms.push({ kind: 'reviewer', names: [caller.userId ?? ''] })
  if (query.reviewer !== undefined) terms.push({ kind: 'reviewer', names: await votersNamed(reader, query.reviewer) })
  if (query.resource !== undefined) terms.push({ kind: 'resource', names: [query.resource] })
  if (query.role !== undefined) terms.push({ kind: 'role', names: [query.role] })
  // Gone people keep their names here: their requests can still be looked up.
  const named = query.user === undefined ? null : await usersNamed(reader, query.user)
  const mine = [caller.userId ?? '']
  return {
    state: query.scope === 'reviewable' ? 'pending' : null,
    users: query.scope !== 'mine' ? named : named === null ? mine : named.filter((id) => mine.includes(id)),
    notUser: query.scope === 'reviewable' ? caller.userId : null,
    terms,
    since: query.since ?? null,
    until: query.until ?? null,
    withWords: query.text !== undefined,
  }
}

async function usersNamed(reader: Reader, name: string): Promise<string[]> {
  const rows = await reader.selectFrom('users').select('id').where('name', '=', name).execute()
  return rows.map((row) => row.id)
}

async function votersNamed(reader: Reader, name: string): Promise<string[]> {
  return name.includes(':') ? [name] : usersNamed(reader, name)
}

/**
 * Whether the caller could have to do with a request, by what its row alone says: never no for one that they may see, so that
 * only few have to be read.
 */
function knowledgeOf(caller: Caller, directory: Directory): (row: Found) => boolean {
  if (mayOperate(caller, directory, 'list') || mayOperate(caller, directory, 'read')) return () => true
  const member = memberOf(caller, directory)
  const absent = directory.delegations.flatMap(({ delegateId, absentId }) =>
    delegateId === caller.userId ? (directory.members.get(absentId) ?? []) : [],
  )
  const patterns = [...(member ? [member] : []), ...absent].flatMap(({ roles }) =>
    roles.flatMap(({ spec }) => spec.allow.review_requests?.roles ?? []),
  )
  return (row) => {
    if (row.user_id === caller.userId) return true
    if (patterns.length === 0) return false
    if (patterns.includes('*')) return true
    const roles = JSON.parse(row.roles_json) as PinnedRole[]
    return roles.some(({ id, name }) => matchesAny(patterns, directory.roles.get(id)?.name ?? name))
  }
}

function presentIfWanted(loaded: RequestCase, { caller, query, now }: Asked): AccessRequest | null {
  if (!maySee(caller, loaded, now)) return null
  const shown = presentRequest(loaded, caller, now)
  return query.scope === 'reviewable' && !waitsForMe(loaded, shown, caller) ? null : shown
}

/** Hides own, resolved and already reviewed ones. A vote that no longer counts is asked for again. */
function waitsForMe({ tally }: RequestCase, shown: AccessRequest, caller: Caller): boolean {
  if (!shown.can.includes('review')) return false
  const mine = tally.votes.find(({ vote }) => vote.reviewer_id === caller.userId)
  return !mine || mine.why === 'rules_changed' || mine.why === 'reviewer_reset'
}
