import { ServiceScope, SERVICE_SCOPES, type ServiceToken } from '../../../contract/service-token.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { readDuration, readPair } from '../../shared/read-options.ts'
import { renderTable, type Column } from '../../shared/table.ts'

const DEFAULT_TTL_MS = 90 * 86_400_000

export interface AddTokenOptions {
  readonly scope: readonly string[]
  readonly owner: string | undefined
  readonly roles: readonly string[]
  readonly trait: readonly string[]
  readonly ttl: string | undefined
  readonly note: string | undefined
}

export async function addToken(context: CommandContext, account: string, options: AddTokenOptions): Promise<void> {
  const traits: Record<string, string[]> = {}
  for (const [key, value] of options.trait.map(readPair)) (traits[key] ??= []).push(value)
  const body = {
    account,
    scopes: options.scope.map(readScope),
    ttl: readDuration(options.ttl, '--ttl') ?? DEFAULT_TTL_MS,
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.roles.length === 0 ? {} : { roles: [...options.roles] }),
    ...(options.trait.length === 0 ? {} : { traits }),
    ...(options.note === undefined ? {} : { note: options.note }),
  }
  const api = await context.dial.operator(context)
  const made = await api.addServiceToken({ body })
  const { token, secret } = made
  context.progress(
    harmless(
      `${token.id} of ${token.account} (owner ${token.owner ?? 'gone'}), until ${localTime(token.expiresAt)}. Shown once:`,
    ),
  )
  await context.show(made, () => secret)
}

function readScope(text: string): ServiceScope {
  const scope = ServiceScope.safeParse(text)
  if (scope.success) return scope.data
  throw new CommandFailed('usage', `"${text.slice(0, 40)}" is no scope`, `Scopes: ${SERVICE_SCOPES.join(', ')}.`)
}

const COLUMNS: readonly Column<ServiceToken>[] = [
  { head: 'Token', cell: (each) => each.id },
  { head: 'Account', cell: (each) => each.account, shrinks: true },
  { head: 'Owner', cell: (each) => each.owner ?? 'gone', shrinks: true },
  { head: 'Scopes', cell: (each) => each.scopes.join(', '), shrinks: true },
  { head: 'Last used', cell: (each) => (each.lastSeenAt === null ? 'never' : localTime(each.lastSeenAt)) },
  { head: 'Until', cell: (each) => localTime(each.expiresAt) },
  { head: 'Note', cell: (each) => each.note, shrinks: true },
]

export async function listTokens(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listServiceTokens({})
  const width = context.terminal.stdout.columns
  await context.show(items, () =>
    items.length === 0
      ? 'No tokens. Make one: sallyctl tokens add NAME --scope=SCOPE'
      : renderTable(COLUMNS, items, width),
  )
}

export async function removeToken(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.operator(context)
  await api.removeServiceToken({ params: { id } })
  await context.show({ removed: id }, () => `${harmless(id)} was removed.`)
}
