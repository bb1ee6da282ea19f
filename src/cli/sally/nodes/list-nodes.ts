import type { VisibleNode } from '../../../contract/node.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { readPair } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'
import { writeSshConfig } from '../config/refresh-ssh-config.ts'

const COLUMNS: readonly Column<VisibleNode>[] = [
  { head: 'Node', cell: (each) => each.name },
  { head: 'Labels', cell: labelsOf, shrinks: true },
  { head: 'Logins', cell: (each) => (each.logins.length === 0 ? '-' : each.logins.join(', ')), shrinks: true },
  { head: 'Until', cell: untilOf },
  {
    head: 'Ask for',
    cell: (each) => (each.logins.length > 0 ? '' : askFor(each)),
    shrinks: true,
  },
]

/** Nodes that you may know of, and what opens those that you may not use yet. */
export async function listNodes(context: CommandContext, labels: readonly string[]): Promise<void> {
  const wanted = labels.map(readPair)
  const api = await context.dial.signedIn(context)
  const all = await writeSshConfig(context, api)
  const nodes = all.filter((node) => wanted.every(([key, value]) => node.labels[key] === value))
  await context.show(nodes, () =>
    nodes.length === 0 ? 'No nodes.' : renderTable(COLUMNS, nodes, context.terminal.stdout.columns),
  )
}

/** A node that no role as a whole opens may still be asked for by itself. */
function askFor({ name, requestableRoles, searchRoles }: VisibleNode): string {
  if (requestableRoles.length > 0) return requestableRoles.join(' or ')
  return searchRoles.length > 0 ? `node/${name}` : ''
}

function labelsOf(node: VisibleNode): string {
  return Object.entries(node.labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

function untilOf(node: VisibleNode): string {
  if (node.accessUntil !== null) return localTime(node.accessUntil)
  return node.logins.length > 0 ? 'always' : 'no access'
}
