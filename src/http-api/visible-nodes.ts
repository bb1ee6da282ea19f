import type { z } from 'zod'
import type { VisibleNode } from '../contract/node.ts'
import type { Clock } from '../foundation/clock.ts'
import type { NodeFacts, Snapshot, UserFacts } from '../grants/snapshot.ts'
import { personOf, rolesAtWork } from '../grants/working-roles.ts'
import { defaultLogin, nodeAccess } from '../identity/node-access.ts'
import { rolesThatWouldHelp } from '../identity/role-rules.ts'
import type { Handlers } from './handler.ts'

/** `sally ls`: what the caller may use now and what they may ask for; nothing else is known to exist. */
export function visibleNodeHandlers(services: { snapshot: Snapshot; clock: Clock }): Handlers {
  const { snapshot, clock } = services
  return {
    listNodes: (context) => {
      const user = snapshot.user(context.login?.userId ?? '')
      if (!user) return Promise.resolve({ items: [] })
      const now = clock.now()
      const items = [...snapshot.nodes()]
        .flatMap((node) => present(snapshot, user, context.login?.id ?? '', node, now) ?? [])
        .sort((a, b) => (a.name < b.name ? -1 : 1))
      return Promise.resolve({ items })
    },
  }
}

function present(
  view: Snapshot,
  user: UserFacts,
  loginId: string,
  node: NodeFacts,
  now: number,
): z.input<typeof VisibleNode> | null {
  const atWork = rolesAtWork(view, user, view.login(loginId) ?? null, now)
  const access = nodeAccess(atWork.roles, node)
  const helpful = rolesThatWouldHelp(personOf(view, user, now), [...view.roles()], node, null)
  if (access.logins.size === 0 && helpful.length === 0) return null
  const giving = [...access.logins.values()].flat()
  const granted = giving.flatMap((role) => (role.origin.kind === 'granted' ? [role.origin.grantId] : []))
  const ends = granted.flatMap((id) => view.grant(id)?.ends_at ?? [])
  const onlyGrants = giving.length > 0 && giving.length === granted.length
  return {
    id: node.id,
    name: node.name,
    labels: { ...node.labels },
    logins: [...access.logins.keys()],
    defaultLogin: access.logins.size === 0 ? null : defaultLogin(access, user.name),
    requestableRoles: helpful.flatMap(({ role, asRole }) => (asRole ? [role.name] : [])),
    searchRoles: helpful.flatMap(({ role, asResource }) => (asResource ? [role.name] : [])),
    accessUntil: onlyGrants ? Math.max(...ends) : null,
  }
}
