import { formatDuration } from '../../contract/duration.ts'
import type { Client } from '../../contract/client.ts'
import { CommandFailed } from './command-failed.ts'
import type { CommandContext } from './command-context.ts'
import { describeRequest } from './describe-request.ts'
import { readDuration } from './read-options.ts'

export interface Vote {
  readonly id: string
  readonly decision: 'approve' | 'deny'
  readonly reason: string
  readonly duration: string | undefined
}

/**
 * Fetches the request, shows it, asks when somebody sits there, and sends the vote with the two digests of exactly what
 * was shown: if the request or its rules change in between, the vote is refused.
 */
export async function reviewRequest(context: CommandContext, api: Client, vote: Vote): Promise<void> {
  const duration = readDuration(vote.duration)
  const shown = await api.showRequest({ params: { id: vote.id } })
  if (context.terminal.interactive && context.format === 'text') {
    context.progress(describeRequest(shown))
    const limit = duration === undefined ? '' : ` for ${formatDuration(duration)}`
    if (!(await context.prompt.confirm(`${vote.decision === 'approve' ? 'Approve' : 'Deny'} this${limit}?`)))
      throw new CommandFailed('failed', 'no vote was cast')
  }
  const { requestDigest, factsDigest } = shown
  const after = await api.review({
    params: { id: shown.id },
    body: {
      decision: vote.decision,
      reason: vote.reason,
      requestDigest,
      factsDigest,
      ...(duration === undefined ? {} : { duration }),
    },
  })
  await context.show(after, () => describeRequest(after))
}
