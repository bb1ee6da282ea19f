import type { Invitation, User } from '../../../contract/user.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { readPair } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'

export interface AddUserOptions {
  readonly roles: readonly string[]
  readonly email: string | undefined
  readonly trait: readonly string[]
}

export async function addUser(context: CommandContext, name: string, options: AddUserOptions): Promise<void> {
  const traits: Record<string, string[]> = {}
  for (const [key, value] of options.trait.map(readPair)) (traits[key] ??= []).push(value)
  const email = options.email === undefined ? {} : { email: options.email }
  const api = await context.dial.operator(context)
  const invitation = await api.addUser({ body: { name, roles: [...options.roles], traits, ...email } })
  await showInvitation(context, invitation)
}

export async function resetUser(context: CommandContext, name: string): Promise<void> {
  const api = await context.dial.operator(context)
  await showInvitation(context, await api.resetUser({ params: { name } }))
}

async function showInvitation(context: CommandContext, invitation: Invitation): Promise<void> {
  context.progress(`Until ${localTime(invitation.expiresAt)}, once, ${invitation.user} can sign in with:`)
  await context.show(invitation, () => harmless(invitation.command))
}

const COLUMNS: readonly Column<User>[] = [
  { head: 'User', cell: (each) => each.name },
  { head: 'Roles', cell: (each) => each.roles.join(', '), shrinks: true },
  { head: 'Traits', cell: traitsOf, shrinks: true },
  { head: 'Second factor', cell: (each) => (each.secondFactor ? 'yes' : 'no') },
  {
    head: 'State',
    cell: (each) => (each.disabled ? 'disabled' : each.owner === null ? 'active' : `service account of ${each.owner}`),
    shrinks: true,
  },
]

function traitsOf(user: User): string {
  return Object.entries(user.traits)
    .map(([key, values]) => `${key}=${values.join('|')}`)
    .join(' ')
}

export async function listUsers(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listUsers({})
  await context.show(items, () => renderTable(COLUMNS, items, context.terminal.stdout.columns))
}

export async function removeUser(context: CommandContext, name: string): Promise<void> {
  const api = await context.dial.operator(context)
  await api.removeUser({ params: { name } })
  await context.show({ removed: name }, () => `The account ${harmless(name)} was removed.`)
}

export async function endLogins(context: CommandContext, name: string): Promise<void> {
  const api = await context.dial.operator(context)
  const answer = await api.endUserLogins({ params: { name } })
  await context.show(answer, () => `${answer.ended} login${answer.ended === 1 ? '' : 's'} of ${harmless(name)} ended.`)
}
