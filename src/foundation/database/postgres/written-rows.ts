import { Bug } from '../../errors.ts'
import { POWER_TABLES } from '../tables.ts'
import type { TouchedRow } from '../open-database.ts'

// Notes every power row that a statement writes or removes, as the temporary triggers do on SQLite: PostgreSQL has none that
// nobody else sees, so the statements themselves are made to tell. Each gets a `returning` of the row's id.

const TELLS = 'touched_id'
const WRITE = /^\s*(insert\s+into|update|delete\s+from)\s+(?:only\s+)?"?([a-z_]+)"?(?=[\s(])/i
const WRITE_INSIDE = new RegExp(
  `\\b(?:insert\\s+into|update|delete\\s+from)\\s+"?(?:${POWER_TABLES.join('|')})\\b`,
  'i',
)
/** commitDeed names the event in a row that it has bound. */
const NAMES_EVENT = /\sset\s+"?event_id"?\s*=\s*\$\d+\s+where\s/i
const OWN_ID = /\sset\s(?:.*,\s*)?"?id"?\s*=\s*\$\d+/i
const WHERE_ID = /\swhere\s(?:.*\s)?\(?(?:"\w+"\.)?"?id"?\s*=\s*\$(\d+)/i
const CACHED = 1000

interface Watched {
  readonly sql: string
  readonly table: string
  /** Parameter (1, 2, ...) that is the id before an update that writes the id, too */
  readonly oldId: number | null
}

const known = new Map<string, Watched | null>()

/** How a statement is to be run so that it tells of power rows; null: it writes none. Errors: Bug for one that could hide them. */
function watched(sql: string): Watched | null {
  const cached = known.get(sql)
  if (cached !== undefined) return cached
  if (known.size >= CACHED) known.clear()
  const found = examine(sql)
  known.set(sql, found)
  return found
}

function examine(sql: string): Watched | null {
  const [, verb = '', table = ''] = WRITE.exec(sql) ?? []
  if (verb === '') {
    if (WRITE_INSIDE.test(sql)) throw new Bug(`power rows are written by statements of their own, not inside: ${sql}`)
    return null
  }
  if (!POWER_TABLES.some((each) => each === table)) return null
  if (verb.toLowerCase() === 'update' && NAMES_EVENT.test(sql)) return null
  const oldId = verb.toLowerCase() === 'update' && OWN_ID.test(sql) ? (WHERE_ID.exec(sql)?.[1] ?? '') : null
  if (oldId === '') throw new Bug(`an update of ids must say which row it means: ${sql}`)
  const tell = `"${table}"."id" as "${TELLS}"`
  const returns = /\sreturning\s/i.test(sql)
  return {
    sql: returns ? `${sql}, ${tell}` : `${sql} returning ${tell}`,
    table,
    oldId: oldId === null ? null : Number(oldId),
  }
}

type Row = Record<string, unknown>

/** Power rows of one transaction at a time. */
export class WrittenRows {
  readonly #rows = new Map<string, TouchedRow>()
  /** Rows of earlier deeds of the same transaction: what the store held before is not what they were */
  readonly #changedBefore = new Set<string>()

  /** Runs a statement by `run`, notes what it wrote, and gives its rows as if it had not been asked. */
  async through<T extends { rows: unknown[] }>(
    sql: string,
    parameters: readonly unknown[],
    run: (sql: string) => Promise<T>,
  ): Promise<T> {
    const watch = watched(sql)
    if (watch === null) return run(sql)
    const result = await run(watch.sql)
    for (const row of result.rows as Row[]) {
      this.#note(watch.table, row[TELLS])
      if (watch.oldId !== null) this.#note(watch.table, parameters[watch.oldId - 1])
      delete row[TELLS]
    }
    return result
  }

  list(): readonly TouchedRow[] {
    return [...this.#rows.values()]
  }

  isFirstChange({ table, id }: TouchedRow): boolean {
    return !this.#changedBefore.has(`${table}/${id}`)
  }

  /** Events name them all. */
  forget(): void {
    for (const key of this.#rows.keys()) this.#changedBefore.add(key)
    this.#rows.clear()
  }

  /** A new transaction begins. */
  clear(): void {
    this.#rows.clear()
    this.#changedBefore.clear()
  }

  #note(table: string, id: unknown): void {
    this.#rows.set(`${table}/${String(id)}`, { table, id: String(id) })
  }
}
