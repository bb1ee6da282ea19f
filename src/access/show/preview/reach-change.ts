import type { RequestPreview } from '../../../contract/request-preview.ts'
import { nodeAccess, type WorkingRole } from '../../../identity/node-access.ts'
import type { ResourceFacts } from '../../../resources/resource.ts'

const GAINS_SHOWN = 20

/**
 * What `added` roles give on these nodes beyond `held` ones. Nodes with the same labels are judged once, so ten thousand of
 * them cost what their kinds cost. Pure.
 */
export function reachChange(
  held: readonly WorkingRole[],
  added: readonly WorkingRole[],
  nodes: readonly ResourceFacts[],
  complete: boolean,
): RequestPreview['change'] {
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
