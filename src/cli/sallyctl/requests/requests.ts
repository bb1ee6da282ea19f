import { allPages } from '../../shared/all-pages.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { describeRequest, requestTable } from '../../shared/describe-request.ts'
import { describeReview } from '../../shared/describe-review.ts'
import { previewOf } from '../../shared/preview-of.ts'
import { readFilters, type RequestFilters } from '../../shared/request-filters.ts'
import { reviewRequest } from '../../shared/review-request.ts'

export async function listRequests(context: CommandContext, options: RequestFilters): Promise<void> {
  const { query, most } = readFilters(options, context.terminal.clock.now())
  const api = await context.dial.operator(context)
  const items = await allPages((cursor) => api.listRequests({ query: { ...query, scope: 'all', cursor } }), most)
  await context.show(items, () => requestTable(items, context.terminal.stdout.columns))
}

export async function showRequest(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.operator(context)
  const request = await api.showRequest({ params: { id } })
  const preview = await previewOf(api, request)
  await context.show(preview ? { ...request, preview } : request, () =>
    preview ? `${describeRequest(request)}\n\n${describeReview(preview)}` : describeRequest(request),
  )
}

/** The local admin never reviews: a vote is always that of a signed-in account. */
export async function vote(
  context: CommandContext,
  decision: 'approve' | 'deny',
  id: string,
  options: {
    readonly reason: string | undefined
    readonly duration: string | undefined
    readonly start: string | undefined
  },
): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { duration, start, reason = '' } = options
  await reviewRequest(context, api, { id, decision, reason, duration, start })
}

export async function revoke(context: CommandContext, id: string, reason = ''): Promise<void> {
  const api = await context.dial.operator(context)
  const request = await api.revokeGrant({ params: { id }, body: { reason } })
  await context.show(request, () => describeRequest(request))
}
