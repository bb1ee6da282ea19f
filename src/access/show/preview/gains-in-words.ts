import type { RequestPreview } from '../../../contract/request-preview.ts'

const GAINS_NAMED = 5

/** What an approval would give besides what is there: `3 nodes: db-1 (deploy), db-2 (deploy), db-3 (root)`. */
export function gainsInWords(change: RequestPreview['change']): string[] {
  const nodes = change.gains.map(({ node, logins }) => `${node} (${named(logins, 3)})`)
  const databases = change.databases.map(({ database, dbUsers }) => `${database} (${named(dbUsers, 3)})`)
  return [...counted('node', nodes, change.moreGains), ...counted('database', databases, change.moreDatabases)]
}

function counted(what: string, shown: readonly string[], more: number): string[] {
  const count = shown.length + more
  if (count === 0) return []
  return [`${count} ${what}${count === 1 ? '' : 's'}: ${named(shown, GAINS_NAMED, more)}`]
}

function named(names: readonly string[], most: number, more = 0): string {
  const left = Math.max(0, names.length - most) + more
  return `${names.slice(0, most).join(', ')}${left > 0 ? ` and ${left} more` : ''}`
}
