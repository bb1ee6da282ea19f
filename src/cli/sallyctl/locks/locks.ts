import { LOCK_TARGETS, type Lock } from '../../../contract/lock.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export interface AddLockOptions extends Readonly<Record<(typeof LOCK_TARGETS)[number], string | undefined>> {
  readonly message: string | undefined
  readonly ttl: string | undefined
}

export async function addLock(context: CommandContext, options: AddLockOptions): Promise<void> {
  const given = LOCK_TARGETS.flatMap((kind) => {
    const target = options[kind]
    return target === undefined ? [] : [{ kind, target }]
  })
  const [what] = given
  if (what === undefined || given.length > 1)
    throw new CommandFailed('usage', 'give exactly one of --user, --role, --request, --login, --node, --database')
  const ttl = options.ttl === undefined ? {} : { ttl: options.ttl }
  const api = await context.dial.operator(context)
  const lock = await api.addLock({ body: { ...what, message: options.message ?? '', ...ttl } })
  await context.show(lock, () => harmless(`${lock.id} locks ${lock.target.kind} ${lock.target.name}.`))
}

export async function removeLock(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.operator(context)
  await api.removeLock({ params: { id } })
  await context.show({ removed: id }, () => `${harmless(id)} was removed.`)
}

const COLUMNS: readonly Column<Lock>[] = [
  { head: 'Lock', cell: (each) => each.id },
  { head: 'Locks', cell: (each) => `${each.target.kind} ${each.target.name}`, shrinks: true },
  { head: 'Message', cell: (each) => each.message, shrinks: true },
  { head: 'By', cell: (each) => each.createdBy, shrinks: true },
  { head: 'Until', cell: (each) => (each.expiresAt === null ? 'removed' : localTime(each.expiresAt)) },
]

export async function listLocks(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listLocks({})
  const width = context.terminal.stdout.columns
  await context.show(items, () => (items.length === 0 ? 'No locks.' : renderTable(COLUMNS, items, width)))
}
