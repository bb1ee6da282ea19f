import type { RequestableResource } from '../../../contract/requestable.ts'
import { allPages } from '../../shared/all-pages.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { renderTable, type Column } from '../../shared/table.ts'

/** So many resources stand in the command that is proposed. */
const IN_COMMAND = 10

const COLUMNS: readonly Column<RequestableResource>[] = [
  { head: 'Resource', cell: keyOf },
  { head: 'Labels', cell: labelsOf, shrinks: true },
  { head: 'You may use', cell: usedNow, shrinks: true },
  { head: 'With the role', cell: rolesOf, shrinks: true },
]

/** What may be asked for, by which role, and the command that asks for it. Terms are `label=value` or words. */
export async function searchRequestable(
  context: CommandContext,
  terms: readonly string[] = [],
  kind: RequestableResource['kind'] | undefined,
): Promise<void> {
  const pairs = terms.filter(isPair).map((term): [string, string] => {
    const at = term.indexOf('=')
    return [term.slice(0, at), term.slice(at + 1)]
  })
  const words = terms.filter((term) => !isPair(term))
  const query = {
    ...(kind === undefined ? {} : { kind }),
    ...(pairs.length === 0 ? {} : { labels: new URLSearchParams(pairs).toString() }),
    ...(words.length === 0 ? {} : { text: words.join(' ') }),
  }
  const api = await context.dial.signedIn(context)
  const found = await allPages((cursor) =>
    api.searchRequestable({ query: { ...query, ...(cursor === undefined ? {} : { cursor }) } }),
  )
  await context.show(found, () =>
    found.length === 0
      ? 'Nothing found that you may use or ask for.'
      : [renderTable(COLUMNS, found, context.terminal.stdout.columns), ...proposal(found)].join('\n'),
  )
}

const isPair = (term: string): boolean => term.indexOf('=') > 0

function proposal(found: readonly RequestableResource[]): string[] {
  const missing = found.filter((each) => each.logins.length === 0)
  const single = missing.filter((each) => each.roles.some((role) => role.asResource))
  if (single.length > 0) {
    const named = single.slice(0, IN_COMMAND).map((each) => `--resource=${keyOf(each)}`)
    const all = single.length > 1 ? 'all that is missing' : (single.map(keyOf)[0] ?? '')
    const which = single.length > IN_COMMAND ? `the first ${IN_COMMAND}` : all
    return ['', `To ask for ${which}:`, `  sally request create ${named.join(' ')} --reason="why you need it"`]
  }
  const role = missing.flatMap((each) => each.roles)[0]
  if (!role) return []
  return ['', 'To ask for a role:', `  sally request create --roles=${role.name} --reason="why you need it"`]
}

function keyOf({ kind, name }: RequestableResource): string {
  return `${kind}/${name}`
}

function labelsOf({ labels }: RequestableResource): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

function usedNow({ logins, accessUntil }: RequestableResource): string {
  if (logins.length === 0) return '-'
  return accessUntil === null ? logins.join(', ') : `${logins.join(', ')} until ${localTime(accessUntil)}`
}

/** A role that must be asked for as a whole says so. */
function rolesOf({ roles }: RequestableResource): string {
  return roles
    .map(({ name, logins, asResource }) => `${name} (${logins.join(', ')}${asResource ? '' : '; as a whole'})`)
    .join(' or ')
}
