import { z } from 'zod'
import type { ChatAct, ChatOutcome } from '../../contract/from-chat.ts'
import { MESSAGE_BUTTONS } from '../../contract/message.ts'
import type { MessageButtonsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { requestUrl, type ChatParts } from './chat-parts.ts'
import { extendForm } from './extend-in-chat.ts'
import { buttonOf, messageNamed, messageWithId, shownWhen } from './messages-of.ts'
import { reviewAtOnce, wishToReview, type Wish } from './review-in-chat.ts'
import { readTerms } from './shown-terms.ts'

type Pressed = Extract<ChatAct, { kind: 'button' }>
type Moved = Extract<ChatAct, { kind: 'moved' }>

const Buttons = z.array(z.string())

/** A button of a message of ours. What it does follows from its row alone, whatever else the callback holds. */
export async function pressButton(parts: ChatParts, arrival: KnownArrival, act: Pressed): Promise<ChatOutcome> {
  const button = MESSAGE_BUTTONS.find((each) => each === act.button)
  const row = await buttonOf(parts.database.reads, arrival.integration.id, act.buttonId)
  if (!row || button === undefined || !Buttons.parse(JSON.parse(row.buttons_json)).includes(button))
    throw new Refused('not_found', 'this button is of no use any more', 'open the request')
  if (act.message !== null) await adopt(parts, row, act.message)
  const { request_id: requestId } = row
  if (button === 'open') return { kind: 'open', text: 'Open the request.', url: requestUrl(parts, requestId) }
  if (button === 'approve' || button === 'deny') return wishToReview(parts, arrival, wishOf(row, button))
  if (button === 'extend') return extendForm(parts, arrival, requestId)
  const caller = callerOf(arrival, arrived(arrival, parts.clock.now()))
  if (button === 'cancel') {
    await parts.requests.cancel(caller, requestId)
    return { kind: 'done', text: 'Your request was cancelled.', requestId }
  }
  await parts.requests.return(caller, requestId)
  return { kind: 'done', text: 'You returned the access: it has ended.', requestId }
}

/** A ticket of ours was moved to a state that means a decision: about what the ticket showed then. */
export async function ticketMoved(parts: ChatParts, arrival: KnownArrival, act: Moved): Promise<ChatOutcome> {
  const { reads } = parts.database
  const message = await messageNamed(reads, arrival.integration.id, act.message)
  const row = message && (await shownWhen(reads, message, act))
  if (row === 'unclear')
    throw new Refused(
      'request_changed',
      'what was shown changed about when you answered',
      'look again, then answer again',
    )
  if (!row) throw new Refused('not_found', 'this ticket is of no request')
  return reviewAtOnce(parts, arrival, wishOf(row, act.decision), act.reason)
}

function wishOf(row: MessageButtonsTable, decision: Wish['decision']): Wish {
  const { request_id: requestId, request_digest: requestDigest, facts_digest: factsDigest } = row
  return { requestId, decision, shown: { requestDigest, factsDigest, terms: readTerms(row.shown_json) } }
}

/** Two copies of one message stand there (a delivery that was thought lost): the other one is kept up to date as well. */
async function adopt({ database }: ChatParts, row: MessageButtonsTable, external: string): Promise<void> {
  const name = external.slice(0, 1024)
  const message = await messageWithId(database.reads, row.message_id)
  if (!message || message.external === name || row.pressed_external === name) return
  await database.transact((tx) =>
    tx
      .updateTable('message_buttons')
      .set({ pressed_external: name })
      .where('button_hash', '=', row.button_hash)
      .execute(),
  )
}
