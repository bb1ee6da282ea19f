import type { MessageTask, RequestView } from '../../contract/message.ts'

// What a webhook carries. Thin by default: ids, names and states, for a receiver that asks the API for more.

/**
 * `{type, timestamp, data}` as Standard Webhooks recommends: `timestamp` is of what is told, so that each attempt at the same state
 * has the same bytes. A decision that comes back names `message`, and `shown`: this very content.
 */
export function webhookBody(task: MessageTask, message: string, full: boolean): string {
  const { content } = task
  const timestamp = new Date(happenedAt(content)).toISOString()
  const where = { message, channel: task.destination.channel }
  if (content.kind === 'notice') {
    const { topic, text, url } = content.view
    return JSON.stringify({
      type: topic,
      timestamp,
      data: { ...where, thread: task.thread, url, ...(full ? { text } : {}) },
    })
  }
  const { view } = content
  const data = full ? { ...where, request: view } : { ...where, request: thin(view) }
  return JSON.stringify({
    type: `request.${view.state}`,
    timestamp,
    data: { ...data, shown: task.shown, decidable: content.buttons.includes('approve') },
  })
}

function happenedAt(content: MessageTask['content']): number {
  if (content.kind === 'notice') return content.view.at
  const { createdAt, decidedAt, reviews, grant } = content.view
  return Math.max(createdAt, decidedAt ?? 0, grant?.endedAt ?? 0, ...reviews.map(({ at }) => at))
}

function thin(view: RequestView) {
  const { id, kind, url, state, user, roles, resources, duration, createdAt, pendingUntil, decidedAt, grant } = view
  const reviews = view.reviews.map(({ reviewer, decision, at, counts }) => ({ reviewer, decision, at, counts }))
  const access = grant && { id: grant.id, state: grant.state, startsAt: grant.startsAt, endsAt: grant.endsAt }
  return {
    id,
    kind,
    url,
    state,
    user,
    roles,
    resources,
    duration,
    createdAt,
    pendingUntil,
    decidedAt,
    reviews,
    grant: access,
  }
}
