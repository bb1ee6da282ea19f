import type { Delegation } from '../../../contract/delegation.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { readEnd } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export interface AddDelegationOptions {
  readonly to: string
  readonly until: string
  readonly roles: readonly string[]
  readonly reason: string | undefined
}

export async function addDelegation(context: CommandContext, options: AddDelegationOptions): Promise<void> {
  const until = readEnd(options.until, context.terminal.clock.now())
  const api = await context.dial.signedIn(context)
  const roles = options.roles.length === 0 ? {} : { roles: [...options.roles] }
  const made = await api.addDelegation({ body: { to: options.to, until, reason: options.reason ?? '', ...roles } })
  await context.show(made, () =>
    harmless(`${made.delegate} votes for you until ${localTime(made.until)} (${made.id}).`),
  )
}

export async function removeDelegation(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  const removed = await api.removeDelegation({ params: { id } })
  await context.show(removed, () => harmless(`${removed.delegate} does not vote for ${removed.absent} any more.`))
}

const COLUMNS: readonly Column<Delegation>[] = [
  { head: 'Delegation', cell: (each) => each.id },
  { head: 'Votes', cell: (each) => each.delegate },
  { head: 'For', cell: (each) => each.absent },
  { head: 'Roles', cell: (each) => each.roles?.join(', ') ?? 'all', shrinks: true },
  { head: 'Until', cell: (each) => localTime(each.until) },
  { head: 'Reason', cell: (each) => each.reason, shrinks: true },
]

export async function listDelegations(context: CommandContext, all: boolean): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { items } = await api.listDelegations({ query: { scope: all ? 'all' : 'mine' } })
  const width = context.terminal.stdout.columns
  await context.show(items, () => (items.length === 0 ? 'No delegations.' : renderTable(COLUMNS, items, width)))
}
