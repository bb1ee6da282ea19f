import { formatDuration } from '../../contract/duration.ts'
import type { ChatOutcome } from '../../contract/from-chat.ts'
import type { AccessRequest } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { ask, openAskForm, requestableOf } from './ask-in-chat.ts'
import type { ChatParts } from './chat-parts.ts'
import { COMMAND_HELP, isRequestId, readCommand, type ChatCommand } from './command-grammar.ts'
import { extend } from './extend-in-chat.ts'
import { resourceLines, roleLines } from './requestable-lines.ts'
import { unlinkHere } from './unlink-account.ts'

const MOST_SHOWN = 20

/** Does what was typed behind `/access`, with the user's own rights. Errors: Refused as of `sally request`. */
export async function runCommand(parts: ChatParts, arrival: KnownArrival, text: string): Promise<ChatOutcome> {
  const read = readCommand(text)
  if (!read.ok) throw new Refused('malformed', read.message, 'help: /access help')
  const { command } = read
  const told = (lines: readonly string[]): ChatOutcome => ({ kind: 'done', text: lines.join('\n'), requestId: null })
  switch (command.kind) {
    case 'help':
      return told(COMMAND_HELP)
    case 'link':
      return told([`This account is linked with ${arrival.user.name}.`])
    case 'mine':
      return told(await mine(parts, arrival))
    case 'roles':
      return told(roleLines(await requestableOf(parts, arrival)))
    case 'resources':
      return told(resourceLines(await requestableOf(parts, arrival), command.words))
    case 'form':
      return await openAskForm(parts, arrival)
    case 'unlink':
      return await unlinkHere(parts, arrival)
    default:
      return await change(parts, arrival, command)
  }
}

type Changing = Extract<ChatCommand, { kind: 'request' | 'extend' | 'return' | 'cancel' }>

async function change(parts: ChatParts, arrival: KnownArrival, command: Changing): Promise<ChatOutcome> {
  const caller = callerOf(arrival, arrived(arrival, parts.clock.now()))
  if (command.kind === 'request') return await ask(parts, caller, command, command.reason)
  const { id, ...rest } = command
  const { id: requestId } = id !== null && isRequestId(id) ? { id } : await theOnly(parts, arrival, command.kind, id)
  if (rest.kind === 'extend') return await extend(parts, caller, requestId, rest.durationMs, rest.reason)
  if (rest.kind === 'cancel') {
    await parts.requests.cancel(caller, requestId)
    return { kind: 'done', text: 'Your request was cancelled.', requestId }
  }
  await parts.requests.return(caller, requestId)
  return { kind: 'done', text: 'You returned the access: it has ended.', requestId }
}

/** What is meant: the one thing that it can be done to, of those with that role or resource where one is named. */
async function theOnly(
  parts: ChatParts,
  arrival: KnownArrival,
  can: 'extend' | 'return' | 'cancel',
  name: string | null,
): Promise<AccessRequest> {
  const possible = (await newest(parts, arrival)).filter(
    (request) => request.can.includes(can) && (name === null || namesOf(request).includes(name)),
  )
  const [first, ...others] = possible
  const what = name === null ? 'nothing' : `nothing with "${name}"`
  if (!first) throw new Refused('not_found', `you have ${what} to ${can}`, 'what you have: /access mine')
  if (others.length === 0) return first
  const lines = possible.slice(0, 10).map((request) => `${whatOf(request)}: /access ${can} ${request.id}`)
  throw new Refused('malformed', `Which one?\n${lines.join('\n')}`)
}

/** Roles, resources, and resources without their kind. */
const namesOf = ({ roles, resources }: AccessRequest): string[] => [
  ...roles,
  ...resources.flatMap(({ kind, name }) => [name, `${kind}/${name}`]),
]

const whatOf = ({ roles, resources }: AccessRequest): string =>
  [...resources.map(({ kind, name }) => `${kind}/${name}`), ...roles].slice(0, 10).join(', ')

async function mine(parts: ChatParts, arrival: KnownArrival): Promise<string[]> {
  const open = (await newest(parts, arrival)).filter(
    ({ state, grant }) => state === 'pending' || (grant !== null && grant.state !== 'ended'),
  )
  if (open.length === 0) return ['You have asked for nothing that waits, and have no access by a request.']
  const now = parts.clock.now()
  return open.slice(0, MOST_SHOWN).map((request) => lineOf(request, now))
}

function lineOf(request: AccessRequest, now: number): string {
  const { id, state, grant } = request
  return `${whatOf(request)}: ${grant ? standingOf(grant, now) : state} (${id})`
}

function standingOf({ state, startsAt, endsAt, useBy }: NonNullable<AccessRequest['grant']>, now: number): string {
  if (state === 'active') return `active, ${formatDuration(Math.max(0, endsAt - now))} left`
  if (useBy !== null) return 'waits for its first use'
  return `starts in ${formatDuration(Math.max(0, startsAt - now))}`
}

async function newest(parts: ChatParts, arrival: KnownArrival): Promise<AccessRequest[]> {
  return (await parts.requests.list(callerOf(arrival), { scope: 'mine', limit: 50 })).items
}
