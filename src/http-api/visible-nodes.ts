import type { Clock } from '../foundation/clock.ts'
import { resourceStandings } from '../grants/resource-standing.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import { rolesUsable } from '../grants/working-roles.ts'
import { defaultLogin, nodeAccess } from '../identity/node-access.ts'
import type { Handlers } from './handler.ts'

/** `sally ls`: what the caller may use now and what they may ask for; nothing else is known to exist. */
export function visibleNodeHandlers(services: { snapshot: Snapshot; clock: Clock }): Handlers {
  const { snapshot, clock } = services
  return {
    listNodes: (context) => {
      const user = snapshot.user(context.login?.userId ?? '')
      if (!user) return Promise.resolve({ items: [] })
      const now = clock.now()
      const login = snapshot.login(context.login?.id ?? '') ?? null
      const roles = rolesUsable(snapshot, user, login, now)
      const standingOf = resourceStandings(snapshot, user, login, now)
      const items = [...snapshot.nodes()].flatMap((node) => {
        const standing = standingOf(node)
        if (!standing) return []
        const { accounts, accessUntil, helpful } = standing
        return {
          id: node.id,
          name: node.name,
          labels: { ...node.labels },
          logins: [...accounts],
          defaultLogin: accounts.length === 0 ? null : defaultLogin(nodeAccess(roles, node), user.name),
          requestableRoles: helpful.flatMap(({ role, asRole }) => (asRole ? [role.name] : [])),
          searchRoles: helpful.flatMap(({ role, asResource }) => (asResource ? [role.name] : [])),
          accessUntil,
        }
      })
      return Promise.resolve({ items: items.sort((a, b) => (a.name < b.name ? -1 : 1)) })
    },
  }
}
