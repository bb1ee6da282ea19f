import type { CommandContext } from '../../shared/command-context.ts'
import { harmless } from '../../shared/harmless.ts'
import { readNamedTarget } from './read-target.ts'

export async function removeDocument(context: CommandContext, text: string): Promise<void> {
  const { kind, name } = readNamedTarget(text)
  const api = await context.dial.operator(context)
  if (kind === 'role') await api.removeRole({ params: { name } })
  else if (kind === 'node') await api.removeNode({ params: { name } })
  else if (kind === 'database') await api.removeDatabase({ params: { name } })
  else if (kind === 'review_rule') await api.removeReviewRule({ params: { name } })
  else if (kind === 'integration') await api.removeIntegration({ params: { name } })
  else if (kind === 'user') await api.removeUser({ params: { name } })
  else await api.removeLock({ params: { id: name } })
  await context.show({ removed: `${kind}/${name}` }, () => `${kind}/${harmless(name)} was removed.`)
}
