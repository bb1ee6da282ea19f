import type { LoginSession } from '../../../contract/login.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { renderTable, type Column } from '../../shared/table.ts'

const COLUMNS: readonly Column<LoginSession>[] = [
  { head: 'Login', cell: (each) => each.id },
  { head: 'Device', cell: (each) => `${each.device}${each.current ? ' (this one)' : ''}`, shrinks: true },
  { head: 'Address', cell: (each) => each.address, shrinks: true },
  { head: 'Factors', cell: (each) => each.factors.join('+') },
  { head: 'Last seen', cell: (each) => localTime(each.lastSeenAt) },
  { head: 'Until', cell: (each) => localTime(each.endedAt ?? each.expiresAt) },
]

export async function listLogins(context: CommandContext): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { items } = await api.listLogins({})
  await context.show(items, () => renderTable(COLUMNS, items, context.terminal.stdout.columns))
}

export async function endLogin(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  await api.endLogin({ params: { id } })
  await context.show({ ended: id }, () => `${id} has ended.`)
}
