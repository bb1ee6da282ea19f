import { z } from 'zod'
import { formatDuration } from '../../contract/duration.ts'
import type { Client } from '../../contract/client.ts'
import type { Delivery } from '../../contract/delivery.ts'
import { sleep, type Clock } from '../../foundation/clock.ts'

// Stands in for a chat product: claims what people are to be told, prints it, and confirms.

const Body = z.object({
  to: z.array(z.string()).default([]),
  user: z.string().default('somebody'),
  request: z.string().default(''),
  roles: z.array(z.string()).default([]),
  resources: z.array(z.string()).default([]),
  reason: z.string().default(''),
  duration: z.number().optional(),
  reviewer: z.string().default(''),
  decision: z.string().default(''),
  state: z.string().default(''),
  resolution: z.string().default(''),
  by: z.string().nullable().default(null),
  comment: z.string().nullable().default(null),
})

export interface Inbox {
  /** Every line so far. */
  readonly lines: readonly string[]
  stop(): Promise<void>
}

export function openInbox(clock: Clock, api: Client, print: (line: string) => void): Inbox {
  const closing = new AbortController()
  const lines: string[] = []
  const deliver = async (): Promise<void> => {
    const { items } = await api.claimDeliveries({})
    for (const delivery of items) {
      const line = sentence(delivery)
      lines.push(line)
      print(line)
      await api.confirmDelivery({ params: { id: delivery.id } })
    }
  }
  const running = (async () => {
    while (!closing.signal.aborted) {
      // A daemon that is stopping answers nothing any more; what was not confirmed comes again.
      await deliver().catch(() => {})
      await sleep(clock, 150, closing.signal).catch(() => {})
    }
  })()
  return {
    lines,
    stop: async () => {
      closing.abort()
      await running
    },
  }
}

function sentence({ topic, body: unread }: Delivery): string {
  const body = Body.parse(unread)
  const to = body.to.length === 0 ? 'nobody' : new Intl.ListFormat('en').format(body.to)
  const on = body.resources.length === 0 ? '' : ` on ${body.resources.join(', ')}`
  const what = `${body.roles.join(', ')}${on}${body.duration === undefined ? '' : ` for ${formatDuration(body.duration)}`}`
  return `to ${to}: ${text(topic, what, body)}`
}

function text(topic: string, what: string, body: z.output<typeof Body>): string {
  if (topic === 'request.created')
    return `${body.user} asks for ${what}: "${body.reason}"\n  sally request show ${body.request}`
  if (topic === 'request.reviewed')
    return `${body.reviewer} ${body.decision === 'deny' ? 'denied' : 'approved'} your request for ${what}${quote(body.reason)}`
  if (topic === 'request.decided') return `your request for ${what} is ${body.state}: ${body.resolution}`
  if (topic === 'grant.ended') return `your access by ${what} ended: ${body.reason}${by(body.by)}${quote(body.comment)}`
  return `${topic} ${body.request}`
}

const quote = (reason: string | null): string => (reason === null || reason === '' ? '' : `: "${reason}"`)
const by = (name: string | null): string => (name === null ? '' : ` by ${name}`)
