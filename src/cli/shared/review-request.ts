import { formatDuration } from '../../contract/duration.ts'
import type { Client } from '../../contract/client.ts'
import { CommandFailed } from './command-failed.ts'
import type { CommandContext } from './command-context.ts'
import { describeRequest } from './describe-request.ts'
import { localTime } from './format-time.ts'
import { readComingInstant, readDuration } from './read-options.ts'

export interface Vote {
  readonly id: string
  readonly decision: 'approve' | 'deny'
  readonly reason: string
  readonly duration: string | undefined
  readonly start: string | undefined
  /** Left out: as self, or for the only absent one there is */
  readonly onBehalfOf?: string | undefined
}

/**
 * Fetches the request, shows it, asks when somebody sits there, and sends the vote with the two digests and the terms of
 * exactly what was shown: if the request, its rules or the terms change in between, the vote is refused.
 */
export async function reviewRequest(context: CommandContext, api: Client, vote: Vote): Promise<void> {
  const duration = readDuration(vote.duration)
  const startAt = vote.start === undefined ? undefined : readComingInstant(vote.start, context.terminal.clock.now())
  const shown = await api.showRequest({ params: { id: vote.id } })
  if (context.terminal.interactive && context.format === 'text') {
    context.progress(describeRequest(shown))
    const limit = `${duration === undefined ? '' : ` for ${formatDuration(duration)}`}${startAt === undefined ? '' : ` from ${localTime(startAt)}`}`
    const absent = vote.onBehalfOf === undefined ? '' : ` as ${vote.onBehalfOf}`
    if (!(await context.prompt.confirm(`${vote.decision === 'approve' ? 'Approve' : 'Deny'} this${limit}${absent}?`)))
      throw new CommandFailed('failed', 'no vote was cast')
  }
  const { requestDigest, factsDigest, grantedDuration, grantedStart } = shown
  const after = await api.review({
    params: { id: shown.id },
    body: {
      decision: vote.decision,
      reason: vote.reason,
      requestDigest,
      factsDigest,
      shown: { duration: grantedDuration, startAt: grantedStart },
      ...(startAt === undefined ? {} : { startAt }),
      ...(duration === undefined ? {} : { duration }),
      ...(vote.onBehalfOf === undefined ? {} : { onBehalfOf: vote.onBehalfOf }),
    },
  })
  await context.show(after, () => describeRequest(after))
}
