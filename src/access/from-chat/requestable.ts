import { Name, RESOURCE_KINDS, ResourceName } from '../../contract/common.ts'
import type { NamedResource } from '../../contract/request.ts'
import { askableRoles, capOf, rolesThatWouldHelp, requestableRoles } from '../../identity/role-rules.ts'
import { allResources, findResources } from '../../resources/find-resources.ts'
import { absentResource, resourceKey, type ResourceFacts } from '../../resources/resource.ts'
import { isKnownTo, type GiversOf } from '../ask/plan-resources.ts'
import type { Directory, Member, Reader } from '../directory.ts'
import { lockOnResource } from '../lock-on-resource.ts'
import { LIMITS } from '../limits.ts'
import { FieldRefused } from './to-outcome.ts'

/** What somebody may ask for from chat, locked things left out. */
export interface Requestable {
  readonly roles: readonly { readonly name: string; readonly longestMs: number }[]
  /** Those that may be asked for alone, with the roles that would give them; by kind and name */
  readonly resources: readonly {
    readonly key: string
    readonly labels: ResourceFacts['labels']
    readonly by: string[]
  }[]
}

export async function requestable(reader: Reader, member: Member, directory: Directory): Promise<Requestable> {
  const usable = [...directory.roles.values()].filter(({ id }) => directory.lockOn('role', id) === undefined)
  const askable = askableRoles(member, usable)
  const longest = new Map(askable.map(({ role, blocks }) => [role.id, Math.min(capOf(blocks).ms, LIMITS.durationMs)]))
  const roles = requestableRoles(member, usable).map(({ id, name }) => ({ name, longestMs: longest.get(id) ?? 0 }))
  const searchable = askable.filter(({ asResource }) => asResource)
  if (searchable.length === 0) return { roles, resources: [] }
  const resources = (await allResources(reader))
    .filter((resource) => lockOnResource(directory, resource) === undefined)
    .map((resource) => {
      const by = rolesThatWouldHelp(member, searchable, resource, null).map(({ role }) => role.name)
      return { key: resourceKey(resource), labels: resource.labels, by }
    })
    .filter(({ by }) => by.length > 0)
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  return { roles, resources }
}

/**
 * `node/db-1` as it stands; `db-1` is the one resource of that name that this user may know of. Whether it is absent or must not
 * be known is told to nobody. Errors: FieldRefused.
 */
export async function namedResources(
  reader: Reader,
  member: Member,
  directory: Directory,
  texts: readonly string[],
): Promise<NamedResource[]> {
  const bare = texts.filter((text) => !text.includes('/'))
  const wanted = bare.flatMap((text) => RESOURCE_KINDS.map((kind) => ({ kind, name: nameIn(text) })))
  const found = wanted.length === 0 ? new Map<string, ResourceFacts>() : await findResources(reader, wanted)
  const askable = askableRoles(member, directory.roles.values())
  const giversOf: GiversOf = (resource) => rolesThatWouldHelp(member, askable, resource, null)
  const known = ({ kind, name }: NamedResource): boolean => {
    const there = found.get(resourceKey({ kind, name }))
    const resource = there ?? absentResource(kind, name)
    return isKnownTo(member, resource, giversOf(resource)) && there !== undefined
  }
  return texts.map((text) => (text.includes('/') ? wholeName(text) : only(nameIn(text), known)))
}

function only(name: string, known: (resource: NamedResource) => boolean): NamedResource {
  const [first, ...others] = RESOURCE_KINDS.map((kind) => ({ kind, name })).filter(known)
  if (!first) throw new FieldRefused('resources', `there is no resource "${name}" that you may use or ask for`)
  if (others.length === 0) return first
  throw new FieldRefused('resources', `which "${name}"? ${[first, ...others].map(resourceKey).join(' or ')}`)
}

function wholeName(text: string): NamedResource {
  const parsed = ResourceName.safeParse(text)
  if (parsed.success) return parsed.data
  throw new FieldRefused(
    'resources',
    `"${text.slice(0, 80)}": ${parsed.error.issues[0]?.message ?? 'that is no resource'}`,
  )
}

function nameIn(text: string): string {
  const parsed = Name.safeParse(text)
  if (parsed.success) return parsed.data
  throw new FieldRefused('resources', `"${text.slice(0, 80)}": ${parsed.error.issues[0]?.message ?? 'that is no name'}`)
}
