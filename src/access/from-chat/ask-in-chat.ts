import { DbUser, Login } from '../../contract/common.ts'
import { formatDuration, parseDuration } from '../../contract/duration.ts'
import type { ChatOutcome } from '../../contract/from-chat.ts'
import type { AccessRequest, NamedResource, Narrowing, Start } from '../../contract/request.ts'
import type { ChatFormsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { requireMember, type Caller } from '../caller.ts'
import { loadDirectory, type Directory, type Member } from '../directory.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { askForm } from './ask-form.ts'
import { openForm, useForm } from './chat-forms.ts'
import type { ChatParts } from './chat-parts.ts'
import { readStart } from './read-start.ts'
import { namesIn, type RequestWords } from './request-grammar.ts'
import { namedResources, requestable, type Requestable } from './requestable.ts'
import { FieldRefused } from './to-outcome.ts'

/** What this user may ask for, to choose from. Errors: Refused('nothing_requestable'). */
export async function openAskForm(parts: ChatParts, arrival: KnownArrival): Promise<ChatOutcome> {
  const offered = await requestableOf(parts, arrival)
  const nonce = await openForm(parts, arrival, { kind: 'ask' })
  return { kind: 'form', form: askForm(nonce, offered) }
}

/** Errors: Refused('nothing_requestable'). */
export async function requestableOf(parts: ChatParts, arrival: KnownArrival): Promise<Requestable> {
  const { member, directory } = await asking(parts, callerOf(arrival))
  const offered = await requestable(parts.database.reads, member, directory)
  if (offered.roles.length + offered.resources.length === 0)
    throw new Refused('nothing_requestable', 'there is nothing that you may ask for and do not have already')
  return offered
}

export async function askByForm(
  parts: ChatParts,
  arrival: KnownArrival,
  form: ChatFormsTable,
  fields: Readonly<Partial<Record<string, string>>>,
): Promise<ChatOutcome> {
  const [roles, resources] = [namesIn([fields['roles'] ?? '']), namesIn([fields['resources'] ?? ''])]
  if (roles.length + resources.length === 0) throw new FieldRefused('roles', 'name a role or a resource')
  const typed = (fields['duration'] ?? '').replace(/\s/gu, '').toLowerCase()
  const parsed = typed === '' ? null : parseDuration(typed)
  if (parsed && !parsed.ok) throw new FieldRefused('duration', parsed.message)
  const words: RequestWords = {
    ...{ roles, resources, account: (fields['account'] ?? '').trim() || null },
    ...{ start: fields['start'] ?? null, durationMs: parsed?.ms ?? null },
  }
  const confirmation = arrived(arrival, parts.clock.now(), (tx, now) => useForm(tx, form, now))
  return await ask(parts, callerOf(arrival, confirmation), words, (fields['reason'] ?? '').trim())
}

/** Errors: Refused as of `sally request create`, FieldRefused. */
export async function ask(
  parts: Pick<ChatParts, 'requests' | 'database' | 'clock'>,
  caller: Caller,
  { roles, resources: named, account, start: typed, durationMs }: RequestWords,
  reason: string,
): Promise<ChatOutcome> {
  // Chat asks for what was named and nothing that follows from it.
  if (roles.includes('*')) throw new FieldRefused('roles', 'name the roles you need')
  const read = readStart(typed ?? '', parts.clock.now())
  if (!read.ok) throw new FieldRefused('start', read.message)
  const resources = await resourcesOf(parts, caller, named)
  const narrowing = account === null ? null : narrowingTo(account, resources)
  const rest = { narrowing, pendingForMs: null, reviewers: [], start: read.start } as const
  const { request, existing } = await parts.requests.ask(caller, { ...rest, roles, resources, durationMs, reason })
  return { kind: 'done', text: saidOf(request, existing, parts.clock.now()), requestId: request.id }
}

async function resourcesOf(
  parts: Pick<ChatParts, 'database' | 'clock'>,
  caller: Caller,
  named: readonly string[],
): Promise<NamedResource[]> {
  if (named.length === 0) return []
  const { member, directory } = await asking(parts, caller)
  return await namedResources(parts.database.reads, member, directory, named)
}

async function asking(
  { database, clock }: Pick<ChatParts, 'database' | 'clock'>,
  caller: Caller,
): Promise<{ readonly member: Member; readonly directory: Directory }> {
  const directory = await loadDirectory(database.reads, clock.now())
  return { member: requireMember(caller, directory, 'ask for access'), directory }
}

/** A login for nodes, a db user for databases. */
function narrowingTo(account: string, resources: readonly NamedResource[]): Narrowing {
  if (resources.length === 0)
    throw new FieldRefused('account', 'a login narrows a request for resources: name them, as in node/db-1')
  const kinds = new Set(resources.map(({ kind }) => kind))
  const hasDatabases = kinds.delete('database')
  const parsed = [...(hasDatabases ? [DbUser] : []), ...(kinds.size > 0 ? [Login] : [])].map((kind) =>
    kind.safeParse(account),
  )
  const problem = parsed.find(({ error }) => error)?.error?.issues[0]?.message
  if (problem !== undefined) throw new FieldRefused('account', problem)
  return { ...(hasDatabases ? { dbUser: account } : {}), ...(kinds.size > 0 ? { login: account } : {}) }
}

const MOST_NAMED = 10

function saidOf(request: AccessRequest, existing: boolean, now: number): string {
  const { roles, resources, narrowing, state, duration, start } = request
  const names = resources.length > 0 ? resources.map(({ kind, name }) => `${kind}/${name}`) : roles
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
  const as = narrowing ? ` as ${narrowing.login ?? narrowing.dbUser ?? ''}` : ''
  const by = resources.length > 0 ? ` (${roles.join(', ')})` : ''
  const what = `${names.slice(0, MOST_NAMED).join(', ')}${more}${as}${by} for ${formatDuration(duration)}${startWords(start, now)}`
  if (existing) return `You have asked for ${what} already; that request still waits.`
  if (state === 'pending') return `You asked for ${what}. Reviewers are told, and you hear of each step.`
  return `You asked for ${what}: ${state}.`
}

/** A time that was meant in another zone is seen by how far it is. */
function startWords(start: Start, now: number): string {
  if (start.at !== 'instant') return start.at === 'approval' ? '' : ', from its first use'
  const at = new Date(start.instant).toISOString().slice(0, 16).replace('T', ' ')
  const minutes = Math.max(1, Math.round((start.instant - now) / 60_000)) * 60_000
  return `, from ${at} UTC (in ${formatDuration(minutes)})`
}
