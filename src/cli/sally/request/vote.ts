import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { reviewRequest } from '../../shared/review-request.ts'

export interface VoteOptions {
  readonly approve: boolean
  readonly deny: boolean
  readonly reason: string | undefined
  readonly duration: string | undefined
  readonly start: string | undefined
  readonly onBehalfOf: string | undefined
}

export async function vote(context: CommandContext, id: string, options: VoteOptions): Promise<void> {
  if (options.approve === options.deny) throw new CommandFailed('usage', 'give either --approve or --deny')
  const api = await context.dial.signedIn(context)
  const decision = options.approve ? 'approve' : 'deny'
  const { duration, start, onBehalfOf, reason = '' } = options
  await reviewRequest(context, api, { id, decision, reason, duration, start, onBehalfOf })
}
