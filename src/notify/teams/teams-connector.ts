import type { MessageTask } from '../../contract/message.ts'
import type { TeamsSecrets, TeamsSettings } from '../../contract/vendors/teams.ts'
import type { OutboundAnswer } from '../../foundation/outbound-fetch.ts'
import { type CheckLine, type Connector, type ConnectorParts, DeliveryFailed } from '../connector.ts'
import { renderCard } from './render-card.ts'

/**
 * Posts cards through workflows. That is one way: a post has no name, so nothing is changed later, and a request whose state has
 * changed gets a short card more. What `deliver` returns is the state that was told.
 */
export function teamsConnector({ secrets, fetch }: ConnectorParts<TeamsSettings, TeamsSecrets>): Connector {
  return {
    vendor: 'teams',
    async deliver(task, signal) {
      const told = `teams1 ${stateOf(task)}`
      if (task.external === told || isToldAnyway(task)) return task.external ?? told
      const post = renderCard(task.content, task.external !== null)
      const answer = await fetch(workflowOf(task, secrets), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(post),
        signal,
        statusOnly: true,
      })
      if (answer.status >= 200 && answer.status < 300) return told
      throw failureOf(answer)
    },
    // Any call of a workflow posts, so there is nothing to try.
    check: (channels) => Promise.resolve(channels.map((channel) => checkChannel(channel, secrets))),
  }
}

/** The request's own card of the new state says it: an end, and with it the vote that brought it about. */
function isToldAnyway({ content, thread }: MessageTask): boolean {
  if (content.kind !== 'notice' || thread === null) return false
  const { topic, request } = content.view
  if (topic === 'request.reviewed') return request !== undefined && request.state !== 'pending'
  return topic === 'request.decided' || topic === 'grant.ended'
}

function stateOf({ content }: MessageTask): string {
  if (content.kind === 'notice') return 'notice'
  const { state, grant } = content.view
  return state === 'approved' && grant?.state === 'ended' ? 'ended' : state
}

function workflowOf({ destination }: MessageTask, { workflows }: TeamsSecrets): string {
  if (destination.channel === null)
    throw new DeliveryFailed('destination', 'a workflow posts in channels, not to persons')
  const url = Object.hasOwn(workflows, destination.channel) ? workflows[destination.channel] : undefined
  if (url !== undefined) return url
  throw new DeliveryFailed('destination', `no workflow is configured under the name ${destination.channel}`)
}

/** Never the address and never the body: the first is a secret, the second may hold it. */
function failureOf({ status, headers }: OutboundAnswer): DeliveryFailed {
  const text = `the workflow answered ${status}`
  if (status === 429 || status === 503) return new DeliveryFailed('retry', text, secondsOf(headers['retry-after']))
  // 401, 403: the address was replaced; 404, 410: the workflow was deleted; its owner left, or switched it off.
  if ([401, 403, 404, 410].includes(status)) return new DeliveryFailed('destination', `${text}: make a new one`)
  if (status === 413) return new DeliveryFailed('defect', `${text}: the card is too large`)
  return new DeliveryFailed(status >= 400 && status < 500 ? 'defect' : 'retry', text)
}

function secondsOf(header: string | undefined): number | null {
  const seconds = Number(header ?? '')
  return header === undefined || header === '' || !Number.isFinite(seconds) ? null : Math.max(0, seconds * 1000)
}

const checkChannel = (channel: string, { workflows }: TeamsSecrets): CheckLine =>
  Object.hasOwn(workflows, channel)
    ? { ok: true, text: `${channel} has a workflow; whether it posts is only seen by posting` }
    : { ok: false, text: `${channel} has no workflow: add its address to secrets.workflows` }
