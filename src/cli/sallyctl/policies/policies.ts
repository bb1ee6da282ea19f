import type { PolicyState } from '../../../contract/policy.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export async function listPolicies(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listPolicies({})
  const columns: Column<PolicyState>[] = [
    { head: 'File', cell: (each) => each.file },
    { head: 'Content', cell: (each) => each.contentHash.slice(0, 12) },
    { head: 'If it fails', cell: (each) => (each.approveOnly ? 'abstains' : 'blocks') },
    { head: 'Zone', cell: (each) => each.zone },
    { head: 'Since', cell: (each) => localTime(each.loadedAt) },
  ]
  await context.show(items, () =>
    items.length === 0 ? 'No policies.' : renderTable(columns, items, context.terminal.stdout.columns ?? null),
  )
}

export async function reloadPolicies(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const changes = await api.reloadPolicies({})
  await context.show(changes, () => {
    const lines = Object.entries(changes).flatMap(([what, files]) => files.map((file: string) => `${what} ${file}`))
    return lines.length === 0 ? 'Nothing has changed.' : lines.join('\n')
  })
}
