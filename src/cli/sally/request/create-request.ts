import type { Client } from '../../../contract/client.ts'
import { ResourceName } from '../../../contract/common.ts'
import { ApiError } from '../../../contract/api-error.ts'
import type { AskBody } from '../../../contract/request.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { describePreview, describeRequest, warningText } from '../../shared/describe-request.ts'
import { readDuration, readStart } from '../../shared/read-options.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'
import { waitForDecision } from './wait-for-decision.ts'
import { secretsIn } from '../../../formats/secrets-in-text.ts'

export interface CreateOptions {
  readonly roles: readonly string[]
  readonly resource: readonly string[]
  readonly login: string | undefined
  readonly dbUser: string | undefined
  readonly reason: string | undefined
  readonly duration: string | undefined
  readonly start: string | undefined
  readonly pendingFor: string | undefined
  readonly reviewers: readonly string[]
  readonly nowait: boolean
  readonly dryRun: boolean
}

export async function createRequest(context: CommandContext, options: CreateOptions): Promise<number | void> {
  const body = askBody(options, context.terminal.clock.now())
  warnOfSecrets(context, body.reason ?? '')
  const api = await context.dial.signedIn(context)
  const answer = await ask(context, api, body)
  if (answer.request === null) return context.show(answer.preview, () => describePreview(answer.preview))
  const { request } = answer
  if (answer.existing) context.progress('You have asked for exactly this already; it is still open.')
  for (const warning of request.warnings) context.warn(warningText(warning))
  if (options.nowait) {
    await refreshSshConfig(context, api)
    return context.show(
      request,
      () => `${describeRequest(request)}\n\nTo wait: sally request show ${request.id} --wait`,
    )
  }
  return waitForDecision(context, api, request)
}

function askBody(options: CreateOptions, now: number): AskBody {
  if (options.roles.length + options.resource.length === 0)
    throw new CommandFailed('usage', 'say what to ask for', 'Give --roles or --resource; to look: sally request search')
  const start = readStart(options.start, now)
  const duration = readDuration(options.duration)
  const pendingFor = readDuration(options.pendingFor)
  return {
    roles: [...options.roles],
    ...(options.resource.length === 0 ? {} : { resources: options.resource.map(checkedResource) }),
    reviewers: [...options.reviewers],
    dryRun: options.dryRun,
    reason: options.reason ?? '',
    ...narrowingOf(options),
    ...(duration === undefined ? {} : { duration }),
    ...(start === undefined ? {} : { start }),
    ...(pendingFor === undefined ? {} : { pendingFor }),
  }
}

function narrowingOf({ login, dbUser }: CreateOptions): Pick<AskBody, 'narrowing'> {
  if (login === undefined && dbUser === undefined) return {}
  return { narrowing: { ...(login === undefined ? {} : { login }), ...(dbUser === undefined ? {} : { dbUser }) } }
}

function checkedResource(text: string): string {
  const parsed = ResourceName.safeParse(text)
  if (parsed.success) return text
  const problem = parsed.error.issues[0]?.message ?? 'that is no resource'
  throw new CommandFailed('usage', `"${text.slice(0, 100)}": ${problem}`, 'For instance: --resource=node/db-box')
}

/** Whether a reason is required is the roles' matter: the person is asked for one when the server says so. */
async function ask(context: CommandContext, api: Client, body: AskBody): ReturnType<Client['ask']> {
  try {
    return await api.ask({ body })
  } catch (error) {
    const missing = error instanceof ApiError && error.code === 'reason_required'
    if (!missing || !context.terminal.interactive || body.reason !== '') throw error
    const reason = await context.prompt.text(`${error.message} Reason:`)
    warnOfSecrets(context, reason)
    return api.ask({ body: { ...body, reason } })
  }
}

/** Chat products are shown it without; whoever may read the request, and the audit log, have it whole. */
function warnOfSecrets(context: CommandContext, reason: string): void {
  const found = secretsIn(reason)
  if (found.length === 0) return
  context.warn(
    `the reason seems to hold ${found.join(' and ')}: reviewers can read it. Change that secret if it is real`,
  )
}
