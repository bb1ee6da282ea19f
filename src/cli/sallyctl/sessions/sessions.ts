import type { Session } from '../../../contract/session.ts'
import { allPages } from '../../shared/all-pages.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export interface SessionFilter {
  readonly live: boolean
  readonly user: string | undefined
  readonly node: string | undefined
}

const COLUMNS: readonly Column<Session>[] = [
  { head: 'Session', cell: (each) => each.id },
  { head: 'User', cell: (each) => each.user, shrinks: true },
  { head: 'On', cell: (each) => `${each.login}@${each.resource.name}`, shrinks: true },
  { head: 'From', cell: (each) => each.address, shrinks: true },
  { head: 'Started', cell: (each) => localTime(each.startedAt) },
  { head: 'Ended', cell: endOf, shrinks: true },
]

function endOf(session: Session): string {
  if (session.endedAt === null) return 'live'
  return `${localTime(session.endedAt)}${session.endReason === null ? '' : `, ${session.endReason}`}`
}

export async function listSessions(context: CommandContext, { live, user, node }: SessionFilter): Promise<void> {
  const api = await context.dial.operator(context)
  const open = live ? { live } : {}
  const sessions = await allPages((cursor) => api.listSessions({ query: { ...open, user, node, cursor } }))
  const width = context.terminal.stdout.columns
  await context.show(sessions, () => (sessions.length === 0 ? 'No sessions.' : renderTable(COLUMNS, sessions, width)))
}

export async function terminateSession(context: CommandContext, id: string, message = ''): Promise<void> {
  const api = await context.dial.operator(context)
  await api.terminateSession({ params: { id }, body: { message } })
  await context.show({ terminated: id }, () => `${harmless(id)} is closed.`)
}
