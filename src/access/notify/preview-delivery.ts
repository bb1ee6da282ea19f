import type { DeliveryPreview } from '../../contract/integration-status.ts'
import { Refused } from '../../foundation/errors.ts'
import { mayReview } from '../../identity/role-rules.ts'
import { loadDirectory, type Reader } from '../directory.ts'
import { integrationRows } from '../integrations/integrations.ts'
import { planMessages, type RoutedRequest } from './plan-messages.ts'
import { readRoutes } from './routes.ts'

const HOUR = 3_600_000

/**
 * Whom a request for this role would reach now: asked by `user`, or else by somebody whom nothing is known of. Conditions on
 * reasons and durations see an hour without a reason. Errors: Refused('not_found').
 */
export async function previewDelivery(
  reads: Reader,
  role: string,
  user: string | null,
  now: number,
): Promise<DeliveryPreview> {
  const directory = await loadDirectory(reads, now)
  const wanted = directory.rolesByName.get(role)
  if (!wanted) throw new Refused('not_found', `there is no role "${role}"`, 'run: sallyctl get role')
  const requester = [...directory.members.values()].find(({ name }) => name === user)
  if (user !== null && !requester)
    throw new Refused('not_found', `there is no user "${user}"`, 'run: sallyctl users ls')
  const seen = {
    ...{ kind: 'role' as const, user: user ?? '', roles: [role], resources: [], reason: '', durationMs: HOUR },
    ...{ annotations: {}, createdAt: now, start: 'approval' },
  }
  const reviewers = directory.reviewers.filter((member) => mayReview(member, role, requester?.id ?? '', seen).may)
  const request: RoutedRequest = {
    ...{ id: '', roles: [role], requesterId: requester?.id ?? '', createdAt: now, pendingUntil: now + HOUR },
    ...{ pending: true, reviewers: reviewers.map(({ id }) => ({ id, from: now })) },
  }
  const routes = await readRoutes(reads, await integrationRows(reads), directory)
  const occasion = { topic: 'request.created', createdAt: now, to: [], until: null }
  const planned = planMessages(occasion, request, routes)
  const names = new Map(routes.map((route) => [route.id, route.name]))
  const reached = new Set(planned.flatMap(({ audience, userId }) => (audience === 'reviewer' ? (userId ?? []) : [])))
  return {
    items: planned.map(({ integrationId, audience, channel, userId, afterMs }) => ({
      integration: names.get(integrationId) ?? '',
      audience,
      destination: channel === null ? `user:${directory.members.get(userId ?? '')?.name ?? ''}` : `channel:${channel}`,
      after: afterMs,
    })),
    unreached: reviewers.filter(({ id }) => !reached.has(id)).map(({ name }) => name),
  }
}
