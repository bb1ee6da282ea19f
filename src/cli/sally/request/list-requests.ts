import { allPages } from '../../shared/all-pages.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { requestTable } from '../../shared/describe-request.ts'
import { readFilters, type RequestFilters } from '../../shared/request-filters.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'

export interface ListOptions extends RequestFilters {
  readonly mine: boolean
  readonly reviewable: boolean
  readonly reviewed: boolean
  readonly all: boolean
}

const SCOPES = ['mine', 'reviewable', 'reviewed', 'all'] as const

export async function listRequests(context: CommandContext, options: ListOptions): Promise<void> {
  const scopes = SCOPES.filter((scope) => options[scope])
  if (scopes.length > 1) throw new CommandFailed('usage', 'give one of --mine, --reviewable, --reviewed and --all')
  const { query, most } = readFilters(options, context.terminal.clock.now())
  const api = await context.dial.signedIn(context)
  const scope = scopes[0] ?? 'all'
  const items = await allPages((cursor) => api.listRequests({ query: { ...query, scope, cursor } }), most)
  await refreshSshConfig(context, api)
  await context.show(items, () => requestTable(items, context.terminal.stdout.columns))
}
