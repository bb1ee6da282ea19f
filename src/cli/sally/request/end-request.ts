import type { CommandContext } from '../../shared/command-context.ts'
import { describeRequest } from '../../shared/describe-request.ts'

export async function cancelRequest(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  const request = await api.cancelRequest({ params: { id } })
  await context.show(request, () => describeRequest(request))
}

export async function returnGrant(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  const request = await api.returnGrant({ params: { id } })
  await context.show(request, () => describeRequest(request))
}
