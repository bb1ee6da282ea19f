import { sql, type RawBuilder } from 'kysely'
import type { AccessRequestsTable } from '../../foundation/database/tables.ts'
import type { Reader } from '../directory.ts'
import type { Place } from './list-cursor.ts'

/** What a row of a list is chosen by before the request itself is read. */
export interface Found extends Pick<
  AccessRequestsTable,
  'id' | 'created_at' | 'state' | 'pending_until' | 'user_id' | 'roles_json'
> {
  /** Empty unless words are searched for */
  readonly words: string
}

export interface Term {
  readonly kind: 'role' | 'resource' | 'reviewer'
  /** Any of them */
  readonly names: readonly string[]
}

/** Conditions that the store can judge, all of which must hold. */
export interface Source {
  readonly state: AccessRequestsTable['state'] | null
  readonly users: readonly string[] | null
  /** Nobody's own */
  readonly notUser: string | null
  readonly terms: readonly Term[]
  readonly since: number | null
  /** This instant is not in it any more */
  readonly until: number | null
  readonly withWords: boolean
}

export async function nextFound(reader: Reader, ...asked: Parameters<typeof pageStatement>): Promise<Found[]> {
  const found = await pageStatement(...asked).execute(reader)
  return found.rows
}

/**
 * The next requests behind `place`, in the order of their making. The first term, else the user, else the state, else the
 * time is what an index leads by; so a page costs what it looks at, however many there are.
 */
export function pageStatement(
  source: Source,
  order: 'asc' | 'desc',
  place: Place | null,
  limit: number,
): RawBuilder<Found> {
  const [lead] = source.terms
  const from = lead ? sql`request_terms t join access_requests r on r.id = t.request_id` : sql`access_requests r`
  const text = source.withWords ? sql` left join request_texts w on w.request_id = r.id` : sql``
  const at = lead ? { time: sql`t.created_at`, id: sql`t.request_id` } : { time: sql`r.created_at`, id: sql`r.id` }
  const direction = order === 'asc' ? sql`asc` : sql`desc`
  return sql<Found>`
    select r.id, r.created_at, r.state, r.pending_until, r.user_id, r.roles_json,
      ${source.withWords ? sql`coalesce(w.words, '')` : sql`''`} as words
    from ${from}${text}
    where ${sql.join(conditionsOf(source, at, order, place), sql` and `)}
    order by ${at.time} ${direction}, ${at.id} ${direction} limit ${limit}`
}

type Columns = { readonly time: RawBuilder<unknown>; readonly id: RawBuilder<unknown> }

function conditionsOf(source: Source, at: Columns, order: 'asc' | 'desc', place: Place | null): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [sql`1 = 1`]
  for (const [index, { kind, names }] of source.terms.entries()) {
    if (index === 0) conditions.push(sql`t.kind = ${kind} and ${isOneOf(sql`t.name`, names)}`)
    else
      conditions.push(
        sql`exists (select 1 from request_terms x where x.kind = ${kind} and ${isOneOf(sql`x.name`, names)}
          and x.created_at = r.created_at and x.request_id = r.id)`,
      )
  }
  // Where a user leads, the state must not: a store without statistics would walk along everybody's.
  const state = source.users !== null ? sql`r.state || ''` : sql`r.state`
  if (source.state !== null) conditions.push(sql`${state} = ${source.state}`)
  if (source.users !== null) conditions.push(isOneOf(sql`r.user_id`, source.users))
  if (source.notUser !== null) conditions.push(sql`r.user_id <> ${source.notUser}`)
  if (source.since !== null) conditions.push(sql`${at.time} >= ${source.since}`)
  if (source.until !== null) conditions.push(sql`${at.time} < ${source.until}`)
  if (place !== null) conditions.push(behind(at, order, place))
  return conditions
}

function isOneOf(column: RawBuilder<unknown>, values: readonly string[]): RawBuilder<unknown> {
  const [only] = values
  if (only === undefined) return sql`1 = 0`
  return values.length === 1 ? sql`${column} = ${only}` : sql`${column} in (${sql.join([...values])})`
}

/** Row values, because both stores then go straight to the place in the index. */
function behind({ time, id }: Columns, order: 'asc' | 'desc', place: Place): RawBuilder<unknown> {
  const sign = order === 'asc' ? sql`>` : sql`<`
  if (place.id === null) return sql`${time} ${sign} ${place.createdAt}`
  return sql`(${time}, ${id}) ${sign} (${place.createdAt}, ${place.id})`
}
