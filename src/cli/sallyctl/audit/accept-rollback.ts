import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'

export async function acceptRollback(
  context: CommandContext,
  { reason, yes }: { readonly reason: string; readonly yes: boolean },
): Promise<void> {
  if (!yes) {
    if (!context.terminal.interactive) throw new CommandFailed('usage', 'this ends every login and grant', 'Add --yes.')
    if (!(await context.prompt.confirm('End all logins, grants, pending requests and tokens, and go on?')))
      throw new CommandFailed('failed', 'nothing was changed')
  }
  const api = await context.dial.operator(context)
  await api.acceptRollback({ body: { reason } })
  await context.show({ accepted: true }, () => 'The rollback was accepted. Everybody has to sign in again.')
}
