import { parseDuration } from '../../contract/duration.ts'
import type { ChatOutcome } from '../../contract/from-chat.ts'
import type { ChatFormsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { findGrant } from '../ask/find-grant.ts'
import { LIMITS } from '../limits.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { openForm, useForm } from './chat-forms.ts'
import type { ChatParts } from './chat-parts.ts'
import { FieldRefused } from './to-outcome.ts'

/** Asks how much longer and why. Errors: Refused('not_found' | 'grant_ended' | 'not_extendable'). */
export async function extendForm(parts: ChatParts, arrival: KnownArrival, id: string): Promise<ChatOutcome> {
  const grant = await findGrant(parts.database.reads, id)
  if (!grant || grant.user_id !== arrival.user.id) throw new Refused('not_found', 'you have no such access')
  if (grant.state === 'ended') throw new Refused('grant_ended', 'that access has ended', 'ask for it anew: /access')
  if (grant.kind === 'break_glass') throw new Refused('not_extendable', 'break-glass access is never extended')
  const nonce = await openForm(parts, arrival, { kind: 'extend', requestId: grant.id })
  const field = { required: true, initial: null, options: null, several: false } as const
  return {
    kind: 'form',
    form: {
      kind: 'extend',
      nonce,
      title: 'More time',
      text: [`How much longer do you need ${grant.roles.map(({ name }) => name).join(', ')}?`],
      fields: [
        { ...field, name: 'duration', label: 'Longer by', hint: '30m, 1h, 1h30m', maxLength: 20, multiline: false },
        {
          ...{ ...field, required: false, name: 'reason', label: 'Reason', hint: 'What is left to do' },
          ...{ maxLength: LIMITS.reasonBytes / 4, multiline: true },
        },
      ],
      submit: 'Ask',
    },
  }
}

export async function extendByForm(
  parts: ChatParts,
  arrival: KnownArrival,
  form: ChatFormsTable,
  fields: Readonly<Partial<Record<string, string>>>,
): Promise<ChatOutcome> {
  const useUp = arrived(arrival, parts.clock.now(), (tx, now) => useForm(tx, form, now))
  const durationMs = readLength(fields['duration'])
  return extend(parts, callerOf(arrival, useUp), form.request_id ?? '', durationMs, fields['reason'] ?? '')
}

export async function extend(
  parts: ChatParts,
  caller: ReturnType<typeof callerOf>,
  id: string,
  durationMs: number,
  reason: string,
): Promise<ChatOutcome> {
  const asked = { durationMs, reason: reason.trim(), reviewers: [], pendingForMs: null }
  const { id: requestId, state } = await parts.requests.extend(caller, id, asked)
  const text =
    state === 'pending' ? 'You asked for more time; reviewers are told.' : `Your access is extended: ${state}.`
  return { kind: 'done', text, requestId }
}

/** Errors: FieldRefused. */
export function readLength(text: string | undefined): number {
  const parsed = parseDuration((text ?? '').replace(/\s/g, '').toLowerCase())
  if (!parsed.ok) throw new FieldRefused('duration', parsed.message)
  return parsed.ms
}
