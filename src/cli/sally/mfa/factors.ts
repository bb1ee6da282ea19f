import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { renderTable, type Column } from '../../shared/table.ts'
import type { Answer } from '../../../contract/client.ts'

const COLUMNS: readonly Column<Answer<'listFactors'>['items'][number]>[] = [
  { head: 'Factor', cell: (each) => each.id },
  { head: 'Kind', cell: (each) => each.kind },
  { head: 'Name', cell: (each) => each.name, shrinks: true },
  { head: 'Since', cell: (each) => localTime(each.createdAt) },
  { head: 'State', cell: (each) => (each.confirmed ? 'in use' : 'not confirmed') },
]

export async function listFactors(context: CommandContext): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { items } = await api.listFactors({})
  const width = context.terminal.stdout.columns
  await context.show(items, () =>
    items.length === 0 ? 'None. Run: sally mfa add' : renderTable(COLUMNS, items, width),
  )
}

export async function removeFactor(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  await api.removeFactor({ params: { id } })
  await context.show({ removed: id }, () => `${id} was removed.`)
}
