import type { RequestPreview } from '../../contract/request-preview.ts'
import { localTime } from './format-time.ts'
import { harmless } from './harmless.ts'
import { renderFields } from './table.ts'

/** What a reviewer is told below the request itself. Nothing to tell gives an empty text. */
export function describeReview(preview: RequestPreview): string {
  const fields: [string, string[]][] = [
    ['Changes', changeLines(preview.change)],
    ['Still needed', preview.needed.map(harmless)],
    ['Last uses', preview.lastUses.map(useLine)],
    ['Also open', preview.otherPending.map(({ id, roles, reason }) => `${id}: ${roles.join(', ')}${words(reason)}`)],
    ['Look closely', preview.hints.map(harmless)],
  ]
  return renderFields(fields.filter(([, lines]) => lines.length > 0))
}

function changeLines(change: RequestPreview['change']): string[] {
  const { nodes, logins, gains, moreGains, complete } = change
  const added = logins.added.length === 0 ? '' : `, logins + ${logins.added.join(', ')}`
  const first = `nodes: ${nodes.before} -> ${nodes.after}${added}${complete ? '' : ' (of the first 10000 nodes)'}`
  const left = gains.length - SHOWN + moreGains
  const shown = gains.slice(0, SHOWN).map(({ node, logins: on }) => `${node}: + ${on.join(', ')}`)
  return [first, ...shown, ...(left > 0 ? [`and ${left} more`] : []), ...databaseLines(change)]
}

function databaseLines({ databases, moreDatabases }: RequestPreview['change']): string[] {
  const left = databases.length - SHOWN + moreDatabases
  const shown = databases.slice(0, SHOWN).map(({ database, dbUsers, dbNames }) => {
    const users = dbUsers.length === 0 ? [] : [`db users + ${dbUsers.join(', ')}`]
    const names = dbNames.length === 0 ? [] : [`db names + ${dbNames.join(', ')}`]
    return harmless(`database ${database}: ${[...users, ...names].join('; ')}`)
  })
  return [...shown, ...(left > 0 ? [`and ${left} more databases`] : [])]
}

const SHOWN = 5

function useLine({ session, resource, login, dbName, startedAt, endedAt }: RequestPreview['lastUses'][number]): string {
  const minutes = endedAt === null ? 'open now' : `${Math.max(1, Math.round((endedAt - startedAt) / 60_000))} min`
  const target = resource.kind === 'node' ? `${login}@${resource.name}` : inDatabase(resource.name, login, dbName)
  return harmless(`${localTime(startedAt)} ${target}, ${minutes} (sally play ${session})`)
}

const inDatabase = (name: string, dbUser: string, dbName: string | null): string =>
  `${dbUser} on database ${name}${dbName === null ? '' : `, in ${dbName}`}`

const words = (reason: string): string => (reason === '' ? '' : `: "${harmless(reason.slice(0, 60))}"`)
