import type { CommandContext } from '../../shared/command-context.ts'
import { describeRequest, warningText } from '../../shared/describe-request.ts'
import { readDuration } from '../../shared/read-options.ts'
import { waitForDecision } from './wait-for-decision.ts'

export interface ExtendOptions {
  readonly duration: string
  readonly reason: string | undefined
  readonly pendingFor: string | undefined
  readonly reviewers: readonly string[]
  readonly nowait: boolean
}

export async function extendGrant(context: CommandContext, id: string, options: ExtendOptions): Promise<number | void> {
  const pendingFor = readDuration(options.pendingFor)
  const body = {
    duration: readDuration(options.duration) ?? 0,
    reason: options.reason ?? '',
    reviewers: [...options.reviewers],
    ...(pendingFor === undefined ? {} : { pendingFor }),
  }
  const api = await context.dial.signedIn(context)
  const request = await api.extendGrant({ params: { id }, body })
  for (const warning of request.warnings) context.warn(warningText(warning))
  if (!options.nowait) return waitForDecision(context, api, request)
  return context.show(request, () => `${describeRequest(request)}\n\nTo wait: sally request show ${request.id} --wait`)
}
