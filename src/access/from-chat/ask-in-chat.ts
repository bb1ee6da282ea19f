import { formatDuration, parseDuration } from '../../contract/duration.ts'
import type { ChatForm, ChatOutcome } from '../../contract/from-chat.ts'
import type { AccessRequest } from '../../contract/request.ts'
import type { ChatFormsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { requestableRoles } from '../../identity/role-rules.ts'
import type { Asked } from '../ask/plan-ask.ts'
import { requireMember, type Caller } from '../caller.ts'
import { loadDirectory } from '../directory.ts'
import { LIMITS } from '../limits.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { openForm, useForm } from './chat-forms.ts'
import type { ChatParts } from './chat-parts.ts'
import { FieldRefused } from './to-outcome.ts'

/** As many as every vendor's lists can show. */
const MOST_OPTIONS = 100

/** What this user may ask for, to choose from. Errors: Refused('nothing_requestable'). */
export async function askForm(parts: ChatParts, arrival: KnownArrival): Promise<ChatOutcome> {
  const directory = await loadDirectory(parts.database.reads, parts.clock.now())
  const member = requireMember(callerOf(arrival), directory, 'ask for access')
  const usable = [...directory.roles.values()].filter(({ id }) => directory.lockOn('role', id) === undefined)
  const names = requestableRoles(member, usable).map(({ name }) => name)
  if (names.length === 0)
    throw new Refused('nothing_requestable', 'there is no role that you may ask for and do not hold already')
  const nonce = await openForm(parts, arrival, { kind: 'ask' })
  return { kind: 'form', form: formOf(nonce, names) }
}

export async function askByForm(
  parts: ChatParts,
  arrival: KnownArrival,
  form: ChatFormsTable,
  fields: Readonly<Partial<Record<string, string>>>,
): Promise<ChatOutcome> {
  const roles = (fields['roles'] ?? '').split(/[\s,]+/u).filter((role) => role !== '')
  if (roles.length === 0) throw new FieldRefused('roles', 'name a role')
  const typed = (fields['duration'] ?? '').replace(/\s/gu, '').toLowerCase()
  const parsed = typed === '' ? null : parseDuration(typed)
  if (parsed && !parsed.ok) throw new FieldRefused('duration', parsed.message)
  const confirmation = arrived(arrival, parts.clock.now(), (tx, now) => useForm(tx, form, now))
  const wanted = { roles, durationMs: parsed?.ms ?? null, reason: (fields['reason'] ?? '').trim() }
  return await ask(parts, callerOf(arrival, confirmation), wanted)
}

export async function ask(
  { requests }: Pick<ChatParts, 'requests'>,
  caller: Caller,
  { roles, durationMs, reason }: Pick<Asked, 'roles' | 'durationMs' | 'reason'>,
): Promise<ChatOutcome> {
  // Chat asks for what was named and nothing that follows from it.
  if (roles.includes('*')) throw new FieldRefused('roles', 'name the roles you need')
  const rest = { resources: [], narrowing: null, pendingForMs: null, reviewers: [], start: { at: 'approval' } } as const
  const { request, existing } = await requests.ask(caller, { ...rest, roles, durationMs, reason })
  return { kind: 'done', text: saidOf(request, existing), requestId: request.id }
}

function saidOf({ roles, state, duration }: AccessRequest, existing: boolean): string {
  const what = `${roles.join(', ')} for ${formatDuration(duration)}`
  if (existing) return `You have asked for ${what} already; that request still waits.`
  if (state === 'pending') return `You asked for ${what}. Reviewers are told, and you hear of each step.`
  return `You asked for ${what}: ${state}.`
}

function formOf(nonce: string, names: readonly string[]): ChatForm {
  const options = names.length <= MOST_OPTIONS ? names.map((name) => ({ value: name, label: name })) : null
  const field = { initial: null, options: null, several: false, multiline: false } as const
  return {
    kind: 'ask',
    nonce,
    title: 'Ask for access',
    text: options ? [] : [`You may ask for ${names.length} roles: write their names.`],
    fields: [
      { ...field, name: 'roles', label: 'Roles', hint: null, required: true, maxLength: 1000, options, several: true },
      { ...field, name: 'duration', label: 'Duration', hint: '30m, 1h, 1h30m', required: false, maxLength: 20 },
      {
        ...{ ...field, name: 'reason', label: 'Reason', hint: 'What you will do, and the ticket', required: false },
        ...{ maxLength: LIMITS.reasonBytes / 4, multiline: true },
      },
    ],
    submit: 'Ask',
  }
}
