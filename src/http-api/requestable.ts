import type { z } from 'zod'
import type { RequestableQuery, RequestableResource } from '../contract/requestable.ts'
import type { Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import { resourceStandings, type ResourceStanding } from '../grants/resource-standing.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import { capOf } from '../identity/role-rules.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import type { Handlers } from './handler.ts'

const DEFAULT_LIMIT = 100
type Query = z.output<typeof RequestableQuery>

/** `sally request search`: what the caller may ask for, and by which roles. */
export function requestableHandlers(services: { snapshot: Snapshot; clock: Clock }): Handlers {
  const { snapshot, clock } = services
  return {
    searchRequestable: (context, { query }) => {
      const after = query.cursor === undefined ? null : placeOf(query.cursor)
      const user = snapshot.user(context.login?.userId ?? '')
      if (!user) return Promise.resolve({ items: [], next: null })
      const login = snapshot.login(context.login?.id ?? '') ?? null
      const standingOf = resourceStandings(snapshot, user, login, clock.now())
      const wanted = filterOf(query)
      const places = [...snapshot.resources()]
        .filter((resource) => wanted(resource) && (after === null || isAfter(sortKey(resource), after)))
        .sort((a, b) => (isAfter(sortKey(a), sortKey(b)) ? 1 : -1))
      return Promise.resolve(firstPage(places, standingOf, query.limit ?? DEFAULT_LIMIT))
    },
  }
}

function firstPage(
  places: readonly ResourceFacts[],
  standingOf: (resource: ResourceFacts) => ResourceStanding | null,
  limit: number,
): { items: RequestableResource[]; next: string | null } {
  const items: RequestableResource[] = []
  for (const resource of places) {
    const standing = standingOf(resource)
    if (!standing) continue
    const last = items.at(-1)
    if (last && items.length === limit) return { items, next: cursorOf(sortKey(last)) }
    items.push(present(resource, standing))
  }
  return { items, next: null }
}

function present({ kind, id, name, labels }: ResourceFacts, standing: ResourceStanding): RequestableResource {
  const { accounts, accessUntil, helpful } = standing
  const roles = helpful.map(({ role, accounts: logins, blocks, asRole, asResource }) => {
    return { name: role.name, logins: [...logins], longest: capOf(blocks).ms, asRole, asResource }
  })
  return { kind, id, name, labels: { ...labels }, logins: [...accounts], accessUntil, roles }
}

function filterOf({ kind, labels, text }: Query): (resource: ResourceFacts) => boolean {
  const pairs = [...new URLSearchParams(labels ?? '')]
  const words = (text ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return (resource) => {
    if (kind !== undefined && resource.kind !== kind) return false
    if (!pairs.every(([key, value]) => Object.hasOwn(resource.labels, key) && resource.labels[key] === value))
      return false
    const texts = [resource.name, ...Object.values(resource.labels)].map((each) => each.toLowerCase())
    return words.every((word) => texts.some((each) => each.includes(word)))
  }
}

type SortKey = readonly [kind: string, name: string]

const sortKey = ({ kind, name }: Pick<ResourceFacts, 'kind' | 'name'>): SortKey => [kind, name]
const isAfter = (a: SortKey, b: SortKey): boolean => (a[0] === b[0] ? a[1] > b[1] : a[0] > b[0])
const cursorOf = (key: SortKey): string => Buffer.from(JSON.stringify(key)).toString('base64url')

function placeOf(cursor: string): SortKey {
  try {
    const [kind, name] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof kind === 'string' && typeof name === 'string') return [kind, name]
  } catch {
    // Falls through to the refusal: what is no JSON, or no list, is no cursor of ours.
  }
  throw new Refused('malformed', 'that is no cursor of this list', 'start without one')
}
