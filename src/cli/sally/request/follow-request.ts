import { ApiError } from '../../../contract/api-error.ts'
import type { Client } from '../../../contract/client.ts'
import type { AccessRequest } from '../../../contract/request.ts'
import { sleep } from '../../../foundation/clock.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { neededLines, reviewersText, voteLine } from '../../shared/describe-request.ts'
import { StatusLine } from '../../shared/status-line.ts'

// A daemon that restarts is back within seconds; the request outlives it.
const RETRY_MS = 2000
const PASSING = new Set(['unreachable', 'shutting_down', 'store_unavailable'])

/** Waits until the request is decided, with a live status: who has answered, how many are missing, who can. */
export async function followRequest(
  context: CommandContext,
  api: Client,
  first: AccessRequest,
): Promise<AccessRequest> {
  const status = new StatusLine(context.terminal, context.format !== 'text')
  let current = first
  try {
    if (context.terminal.stderr.columns !== null) status.set(standingOf(first))
    while (current.state === 'pending') {
      const next = await poll(context, api, current, status)
      tellNews(status, current, next)
      current = next
    }
    return current
  } finally {
    status.clear()
  }
}

async function poll(
  context: CommandContext,
  api: Client,
  current: AccessRequest,
  status: StatusLine,
): Promise<AccessRequest> {
  const { clock, interrupted } = context.terminal
  for (let failures = 0; ; failures++) {
    try {
      const { id, version, look } = current
      const query = look === undefined ? { version } : { version, look }
      return await api.watchRequest({ params: { id }, query, signal: interrupted })
    } catch (error) {
      if (!(error instanceof ApiError) || !PASSING.has(error.code) || clock.now() > current.pendingUntil) throw error
      if (failures === 0) status.say(`${error.message}; trying again...`)
      await sleep(clock, RETRY_MS, interrupted)
    }
  }
}

function tellNews(status: StatusLine, before: AccessRequest, after: AccessRequest): void {
  const known = new Map(before.reviews.map((review) => [review.id, review.counts]))
  for (const review of after.reviews) if (known.get(review.id) !== review.counts) status.say(voteLine(review))
  if (after.state !== 'pending') return
  const standing = standingOf(after)
  if (standing !== standingOf(before)) status.set(standing)
}

/** `1 of 2 approvals for dba (dba team); can answer: carol` */
export function standingOf(request: AccessRequest): string {
  const nobody = request.reviewers.length === 0
  const left = nobody ? 'nobody is left who could approve' : `can answer: ${reviewersText(request)}`
  return `${neededLines(request).join('; ')}; ${left}`
}
