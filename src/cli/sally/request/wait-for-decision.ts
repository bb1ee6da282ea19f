import type { Client } from '../../../contract/client.ts'
import { EXIT } from '../../../contract/errors.ts'
import { formatDuration } from '../../../contract/duration.ts'
import type { AccessRequest, Grant } from '../../../contract/request.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { describeRequest, stateOf } from '../../shared/describe-request.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { painter } from '../../shared/terminal.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'
import { followRequest } from './follow-request.ts'

/** Prints the request, then who answers, until it is decided. Resolves with the exit code: 0 approved, 3 denied, 4 over. */
export async function waitForDecision(context: CommandContext, api: Client, first: AccessRequest): Promise<number> {
  const text = context.format === 'text'
  if (text) await context.show(first, () => describeRequest(first))
  let current = first
  if (current.state === 'pending') {
    context.progress('Seeking request approval...')
    try {
      current = await followRequest(context, api, first)
    } catch (error) {
      if (context.terminal.interrupted.aborted) tellHowToResume(context, first)
      throw error
    }
  }
  await refreshSshConfig(context, api)
  await context.show(current, () => outcome(context, current))
  return exitOf(current)
}

function tellHowToResume(context: CommandContext, request: AccessRequest): void {
  context.warn(`the request stays open. To wait again: sally request show ${request.id} --wait`)
  context.warn(`to withdraw it: sally request cancel ${request.id}`)
}

function outcome(context: CommandContext, request: AccessRequest): string {
  const paint = painter(context.terminal, context.terminal.stdout)
  const why = request.resolution === null ? '' : `: ${harmless(request.resolution)}`
  if (request.state !== 'approved') return paint('red', `Request ${stateOf(request)}${why}`)
  const { grant } = request
  if (grant === null || grant.state === 'ended') return paint('yellow', `Request ${stateOf(request)}${why}`)
  return paint('green', `Request approved${why}\n${accessLine(grant)}`)
}

function accessLine(grant: Grant): string {
  const connect = asTyped(grant)
  if (grant.state === 'active') return `Access until ${localTime(grant.endsAt)}. Connect as always: ${connect}`
  if (grant.useBy === null)
    return `Access from ${localTime(grant.startsAt)} until ${localTime(grant.endsAt)}. Then connect as always: ${connect}`
  const length = formatDuration(grant.endsAt - grant.useBy)
  return `Access for ${length} from your first connection, which must be before ${localTime(grant.useBy)}: ${connect}`
}

/** What is granted on one node or database, or with one account, is said as it is typed. */
function asTyped({ resources, narrowing }: Grant): string {
  const [database, ...rest] = resources
  // What follows the name is for the client program.
  if (database?.kind === 'database' && rest.length === 0)
    return `sally db connect ${narrowing?.dbUser === undefined ? '' : `--db-user=${narrowing.dbUser} `}${database.name}`
  const [only, ...others] = resources.filter(({ kind }) => kind === 'node')
  const node = only && others.length === 0 ? only.name : 'NODE'
  return `ssh ${narrowing?.login === undefined ? '' : `${narrowing.login}@`}${node}`
}

function exitOf({ state }: AccessRequest): number {
  if (state === 'denied') return EXIT.denied
  if (state === 'cancelled' || state === 'expired') return EXIT.expired
  return EXIT.done
}
