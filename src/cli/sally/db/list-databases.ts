import type { VisibleDatabase } from '../../../contract/database.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { readPair } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'

const orDash = (names: readonly string[]): string => (names.length === 0 ? '-' : names.join(', '))

const COLUMNS: readonly Column<VisibleDatabase>[] = [
  { head: 'Database', cell: (each) => each.name },
  { head: 'Kind', cell: (each) => each.protocol },
  { head: 'Labels', cell: labelsOf, shrinks: true },
  { head: 'Db users', cell: usersOf, shrinks: true },
  { head: 'Db names', cell: (each) => orDash(each.dbNames), shrinks: true },
  { head: 'Until', cell: untilOf },
  { head: 'Ask for', cell: (each) => (each.dbUsers.length > 0 ? '' : askFor(each)), shrinks: true },
]

/** Databases that you may know of, and what opens those that you may not use yet. */
export async function listDatabases(context: CommandContext, labels: readonly string[]): Promise<void> {
  const wanted = labels.map(readPair)
  const api = await context.dial.signedIn(context)
  const { items } = await api.listDatabases({})
  const shown = items.filter((each) => wanted.every(([key, value]) => each.labels[key] === value))
  await context.show(shown, () =>
    shown.length === 0 ? 'No databases.' : renderTable(COLUMNS, shown, context.terminal.stdout.columns),
  )
}

/** Who is made when one connects has a name of its own on the server; what it may do there are its roles. */
function usersOf({ dbUsers, dbRoles }: VisibleDatabase): string {
  if (dbRoles === undefined || dbUsers.length === 0) return orDash(dbUsers)
  return `${orDash(dbUsers)}, made on connect with ${orDash(dbRoles)}`
}

/** One that no role as a whole opens may still be asked for by itself. */
function askFor({ name, requestableRoles, searchRoles }: VisibleDatabase): string {
  if (requestableRoles.length > 0) return requestableRoles.join(' or ')
  return searchRoles.length > 0 ? `database/${name}` : ''
}

function labelsOf({ labels }: VisibleDatabase): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

function untilOf({ accessUntil, dbUsers }: VisibleDatabase): string {
  if (accessUntil !== null) return localTime(accessUntil)
  return dbUsers.length > 0 ? 'always' : 'no access'
}
