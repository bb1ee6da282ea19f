import type { RequestPreview } from '../../../contract/request-preview.ts'
import { allOf, databaseAccess } from '../../../identity/database-access.ts'
import { nodeAccess, type WorkingRole } from '../../../identity/node-access.ts'
import type { ResourceFacts } from '../../../resources/resource.ts'

const GAINS_SHOWN = 20

type Change = RequestPreview['change']
type NodeChange = Omit<Change, 'databases' | 'moreDatabases'>

/**
 * What `added` roles give on these nodes beyond `held` ones. Nodes with the same labels are judged once, so ten thousand of
 * them cost what their kinds cost. Pure.
 */
export function reachChange(
  held: readonly WorkingRole[],
  added: readonly WorkingRole[],
  nodes: readonly ResourceFacts[],
  complete: boolean,
): NodeChange {
  const pinned = new Set(
    [...held, ...added].flatMap(({ confinedTo }) => (confinedTo?.resources ?? []).map(({ id }) => id)),
  )
  const judged = new Map<string, { before: readonly string[]; after: readonly string[] }>()
  const judge = (node: ResourceFacts): { before: readonly string[]; after: readonly string[] } => {
    const key = `${pinned.has(node.id) ? node.id : ''}${JSON.stringify(Object.entries(node.labels).sort())}`
    const known = judged.get(key)
    if (known) return known
    const before = [...nodeAccess(held, node).logins.keys()]
    const fresh = { before, after: [...nodeAccess([...held, ...added], node).logins.keys()] }
    judged.set(key, fresh)
    return fresh
  }
  const before = new Set<string>()
  const after = new Set<string>()
  const count = { before: 0, after: 0 }
  const gains: { node: string; logins: string[] }[] = []
  for (const node of nodes) {
    const access = judge(node)
    if (access.before.length > 0) count.before++
    if (access.after.length > 0) count.after++
    for (const login of access.before) before.add(login)
    for (const login of access.after) after.add(login)
    const gained = access.after.filter((login) => !access.before.includes(login))
    if (gained.length > 0) gains.push({ node: node.name, logins: gained })
  }
  gains.sort((a, b) => (a.node < b.node ? -1 : 1))
  return {
    nodes: count,
    logins: { before: [...before].sort(), added: [...after].filter((login) => !before.has(login)).sort() },
    gains: gains.slice(0, GAINS_SHOWN),
    moreGains: Math.max(0, gains.length - GAINS_SHOWN),
    complete,
  }
}

/** The same of databases: db users and db names that the added roles give there beyond the held ones. Pure. */
export function databaseGains(
  held: readonly WorkingRole[],
  added: readonly WorkingRole[],
  databases: readonly ResourceFacts[],
): Pick<Change, 'databases' | 'moreDatabases'> {
  const gains = databases.flatMap((database) => {
    const before = databaseAccess(held, database)
    const after = databaseAccess([...held, ...added], database)
    const gained = (key: 'users' | 'names'): string[] => {
      const known = new Set(allOf(before, key))
      return allOf(after, key).filter((name) => !known.has(name))
    }
    const gain = { database: database.name, dbUsers: gained('users'), dbNames: gained('names') }
    return gain.dbUsers.length + gain.dbNames.length === 0 ? [] : [gain]
  })
  gains.sort((a, b) => (a.database < b.database ? -1 : 1))
  return { databases: gains.slice(0, GAINS_SHOWN), moreDatabases: Math.max(0, gains.length - GAINS_SHOWN) }
}
