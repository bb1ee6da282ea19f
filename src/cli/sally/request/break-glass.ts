import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { describeRequest } from '../../shared/describe-request.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { readDuration } from '../../shared/read-options.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'

export interface BreakGlassOptions {
  readonly roles: readonly string[]
  readonly reason: string
  readonly duration: string | undefined
  readonly confirm: string | undefined
}

/** Takes access at once. A person types the names of the roles; a program gives them with --confirm. */
export async function breakGlass(context: CommandContext, options: BreakGlassOptions): Promise<void> {
  const duration = readDuration(options.duration)
  const api = await context.dial.signedIn(context)
  const confirm = options.confirm ?? (await typedConfirmation(context, options.roles.join(',')))
  const body = { roles: [...options.roles], reason: options.reason, confirm }
  const taken = await api.breakGlass({ body: { ...body, ...(duration === undefined ? {} : { duration }) } })
  await refreshSshConfig(context, api)
  await context.show(taken, () => {
    const until = taken.grant === null ? '' : `Access until ${localTime(taken.grant.endsAt)}. `
    return `${describeRequest(taken)}\n\n${until}Give it back when you are done: sally request return ${taken.id}`
  })
}

async function typedConfirmation(context: CommandContext, names: string): Promise<string> {
  if (!context.terminal.interactive)
    throw new CommandFailed(
      'usage',
      'taking access without asking must be confirmed',
      `Give --confirm=${harmless(names)}`,
    )
  context.warn('You take access without asking. Every reviewer and administrator is told now, all you do is recorded,')
  context.warn('and you cannot do this again before two of them have acknowledged it.')
  const typed = await context.prompt.text(`Type ${harmless(names)} to go on:`)
  if (typed.trim() !== names) throw new CommandFailed('failed', 'that is not what was to be typed: nothing was taken')
  return typed.trim()
}

export async function acknowledge(context: CommandContext, id: string, comment = ''): Promise<void> {
  const api = await context.dial.signedIn(context)
  const request = await api.acknowledge({ params: { id }, body: { comment } })
  await context.show(request, () => describeRequest(request))
}
