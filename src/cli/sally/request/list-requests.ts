import type { RequestState } from '../../../contract/request.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { requestTable } from '../../shared/describe-request.ts'
import { allPages } from '../../shared/all-pages.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'

export interface ListOptions {
  readonly mine: boolean
  readonly reviewable: boolean
  readonly all: boolean
  readonly state: RequestState | undefined
}

export async function listRequests(context: CommandContext, options: ListOptions): Promise<void> {
  const scopes = (['mine', 'reviewable', 'all'] as const).filter((scope) => options[scope])
  if (scopes.length > 1) throw new CommandFailed('usage', 'give one of --mine, --reviewable and --all')
  const api = await context.dial.signedIn(context)
  const query = { scope: scopes[0] ?? 'all', state: options.state }
  const items = await allPages((cursor) => api.listRequests({ query: { ...query, cursor } }))
  await refreshSshConfig(context, api)
  await context.show(items, () => requestTable(items, context.terminal.stdout.columns))
}
