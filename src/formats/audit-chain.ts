import { hash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

// The audit chain, version 1. All digests are SHA-256 in lowercase hex over UTF-8 text whose first line names what is hashed,
// so that no digest of one kind can stand for another:
//
//   details = H("sallyport audit details v1\n" salt "\n" details_json)       details_json: RFC 8785
//   leaf    = H("sallyport audit leaf v1\n" JSON array of the 15 envelope values, in the order of Envelope)
//   head    = H("sallyport audit head v1\n" head before it "\n" leaf)
//   row     = H("sallyport audit row v1\n" table "\n" RFC 8785 of the row, without event_id and without null columns)
//
// The first event's "head before it" is GENESIS. Details enter the leaf as a salted digest, so they can be pruned without
// breaking the chain and without being guessable from it. Null columns stay out of a row's digest, so a later schema can add
// nullable ones. rows_json, the digests of the rows that an event binds, is part of the envelope.

/** What a leaf is made of. Values that were objects are here as the JSON text that is stored. */
export interface Envelope {
  readonly seq: number
  readonly id: string
  readonly time: number
  readonly type: string
  readonly actor_json: string
  readonly user_id: string | null
  readonly login_id: string | null
  readonly request_id: string | null
  readonly grant_ids_json: string
  readonly session_id: string | null
  readonly resource_json: string | null
  readonly resource_key: string | null
  readonly outcome: string
  readonly rows_json: string
  readonly details_hash: string
}

/** Stands for the digest of a row that was not what its last event said when power was taken from it: no content has it. */
export const ALTERED = 'altered'

/** A row that an event binds: `hash` is null when the event's deed removed it, ALTERED when its content is nobody's. */
export interface BoundRow {
  readonly table: string
  readonly id: string
  readonly hash: string | null
}

/** Hex digest that stands before the first event. */
export const GENESIS = sha256('sallyport audit genesis v1\n')

export function detailsHash(salt: string, detailsJson: string): string {
  return sha256(`sallyport audit details v1\n${salt}\n${detailsJson}`)
}

export function leafHash(e: Envelope): string {
  // JSON.stringify of strings, integers and null is canonical: a lone surrogate never gets into the store's UTF-8.
  return sha256(
    `sallyport audit leaf v1\n${JSON.stringify([
      e.seq,
      e.id,
      e.time,
      e.type,
      e.actor_json,
      e.user_id,
      e.login_id,
      e.request_id,
      e.grant_ids_json,
      e.session_id,
      e.resource_json,
      e.resource_key,
      e.outcome,
      e.rows_json,
      e.details_hash,
    ])}`,
  )
}

/** The chain's head after an event whose leaf is `leaf`, when it was `before`. */
export function nextHead(before: string, leaf: string): string {
  return sha256(`sallyport audit head v1\n${before}\n${leaf}`)
}

/** Digest that binds a row's content to the event that wrote it. `row` as the database gives it. */
export function rowHash(table: string, row: Readonly<Record<string, unknown>>): string {
  let content = ''
  for (const { column, key } of columnsOf(table, Object.keys(row))) {
    const value = row[column]
    if (value !== null) content += `${content === '' ? '' : ','}${key}:${canonicalJson(value)}`
  }
  const id = `${table}/${String(row['id'])}`
  const known = lastDigests.get(id)
  if (known?.content === content) return known.digest
  const digest = sha256(`sallyport audit row v1\n${table}\n{${content}}`)
  if (lastDigests.size >= MOST_DIGESTS) lastDigests.clear()
  lastDigests.set(id, { content, digest })
  return digest
}

/** By row: a deed looks at what the deed before it has left. */
const lastDigests = new Map<string, { readonly content: string; readonly digest: string }>()
const MOST_DIGESTS = 1000

/** Columns but event_id in their canonical order, each with its key as JSON. */
type Columns = readonly { readonly column: string; readonly key: string }[]

/** By table and number of columns (some rows come without event_id): the columns as such a row had them last. */
const lastColumns = new Map<string, { readonly names: readonly string[]; readonly columns: Columns }>()

function columnsOf(table: string, names: readonly string[]): Columns {
  const kind = `${table} ${names.length}`
  const known = lastColumns.get(kind)
  if (known?.names.length === names.length && names.every((name, index) => name === known.names[index]))
    return known.columns
  const columns = names
    .filter((name) => name !== 'event_id')
    .sort()
    .map((column) => ({ column, key: canonicalJson(column) }))
  lastColumns.set(kind, { names, columns })
  return columns
}

function sha256(text: string): string {
  return hash('sha256', text)
}
