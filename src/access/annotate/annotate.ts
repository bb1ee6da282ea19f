import type { Deed, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { refuseBadStanding } from '../ask/plan-ask.ts'
import { maySee, memberOf, requestNotFound, type Caller } from '../caller.ts'
import { touchRequest } from '../end/expire-request.ts'
import { LIMITS } from '../limits.ts'
import { requestAnnotated } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { loadCase } from '../request-case.ts'
import { notesOn } from './notes.ts'

/**
 * Writes, replaces or takes away (empty text) one note of a service account on a request that it may see. Errors: Refused with
 * not_found, not_allowed, user_disabled, locked, over_limit, malformed.
 */
export async function annotateDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  id: string,
  { key, text }: { readonly key: string; readonly text: string },
): Promise<Deed<string>> {
  const loaded = await loadCase(tx, id, now)
  if (!loaded || !maySee(caller, loaded, now)) throw requestNotFound()
  const member = memberOf(caller, loaded.directory)
  if (!member?.ownerId) throw new Refused('not_allowed', 'only service accounts write notes on requests')
  refuseBadStanding(member)
  refuseBadText(text)
  const notes = await notesOn(tx, [id])
  const before = notes.find((note) => note.user_id === member.id && note.key === key)
  if ((before?.body ?? '') === text) throw new NothingToDo<string>(id)
  if (!before) refuseTooMany(notes.length, notes.filter((note) => note.user_id === member.id).length)
  if (before) await tx.deleteFrom('request_notes').where('id', '=', before.id).execute()
  const noteId = newId('note', now)
  if (text !== '')
    await tx
      .insertInto('request_notes')
      .values({ id: noteId, request_id: id, user_id: member.id, key, body: text, at: now })
      .execute()
  await touchRequest(tx, loaded.request)
  return {
    result: id,
    events: [
      {
        type: 'access_request.annotate',
        actor: caller.actor,
        outcome: 'success',
        login: caller.loginId,
        request: id,
        details: { note: text === '' ? null : noteId, replaces: before?.id ?? null, key, text },
        rows: [{ table: 'access_requests', id }],
      },
    ],
    outbox: [requestAnnotated(loaded, member.name, text, before !== undefined)],
  }
}

function refuseBadText(text: string): void {
  if (!text.isWellFormed()) throw new Refused('malformed', 'a note is well-formed Unicode')
  if (Buffer.byteLength(text) > LIMITS.noteBytes)
    throw new Refused('over_limit', `a note has at most ${LIMITS.noteBytes} bytes`, 'link to the rest')
}

function refuseTooMany(all: number, own: number): void {
  if (own >= LIMITS.notesOfOne)
    throw new Refused(
      'over_limit',
      `one account has at most ${LIMITS.notesOfOne} notes on a request`,
      'replace one: use its key',
    )
  if (all >= LIMITS.notes) throw new Refused('over_limit', `a request has at most ${LIMITS.notes} notes`)
}
