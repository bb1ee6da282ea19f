import type { CommandContext } from '../../shared/command-context.ts'
import { describeRequest } from '../../shared/describe-request.ts'
import { describeReview } from '../../shared/describe-review.ts'
import { previewOf } from '../../shared/preview-of.ts'
import { waitForDecision } from './wait-for-decision.ts'

export async function showRequest(context: CommandContext, id: string, wait: boolean): Promise<number | void> {
  const api = await context.dial.signedIn(context)
  const request = await api.showRequest({ params: { id } })
  if (wait) return waitForDecision(context, api, request)
  const preview = await previewOf(api, request)
  await context.show(preview ? { ...request, preview } : request, () => {
    const next = request.can.map((deed) => NEXT[deed](request.id))
    const parts = [describeRequest(request), preview ? describeReview(preview) : '', next.join('\n')]
    return parts.filter((part) => part !== '').join('\n\n')
  })
}

const NEXT = {
  review: (id: string) => `To vote: sally request review ${id} --approve|--deny [--reason=...]`,
  cancel: (id: string) => `To withdraw it: sally request cancel ${id}`,
  return: (id: string) => `To give it back: sally request return ${id}`,
  extend: (id: string) => `For more time: sally request extend ${id} --duration=30m --reason=...`,
  revoke: (id: string) => `To revoke it: sallyctl request revoke ${id} [--reason=...]`,
  acknowledge: (id: string) => `To say that you have looked at it: sally request acknowledge ${id}`,
}
