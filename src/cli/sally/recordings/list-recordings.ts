import type { Session } from '../../../contract/session.ts'
import { formatDuration } from '../../../contract/duration.ts'
import { allPages } from '../../shared/all-pages.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export interface RecordingFilter {
  readonly user: string | undefined
  readonly node: string | undefined
}

/** Recorded sessions that you may know of. */
export async function listRecordings(context: CommandContext, filter: RecordingFilter): Promise<void> {
  const api = await context.dial.signedIn(context)
  const sessions = await allPages((cursor) => api.listSessions({ query: { ...filter, cursor } }))
  const width = context.terminal.stdout.columns
  const columns = columnsAt(context.terminal.clock.now())
  await context.show(sessions, () => (sessions.length === 0 ? 'No recordings.' : renderTable(columns, sessions, width)))
}

function columnsAt(now: number): readonly Column<Session>[] {
  return [
    { head: 'Session', cell: (each) => each.id },
    { head: 'User', cell: (each) => each.user, shrinks: true },
    { head: 'On', cell: (each) => `${each.login}@${each.resource.name}`, shrinks: true },
    { head: 'Started', cell: (each) => localTime(each.startedAt) },
    { head: 'Lasted', cell: (each) => formatDuration((each.endedAt ?? now) - each.startedAt) },
    { head: 'Holds', cell: (each) => each.recording.contents.join(', '), shrinks: true },
    { head: 'State', cell: (each) => each.recording.state.replace('_', ' ') },
  ]
}
