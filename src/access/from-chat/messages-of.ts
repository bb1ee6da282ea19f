import { hash } from 'node:crypto'
import type { MessageButtonsTable, MessagesTable } from '../../foundation/database/tables.ts'
import type { Reader } from '../directory.ts'
import type { KnownMessage } from './chat-verifier.ts'
import { buttonHash } from './secret-text.ts'

/** What the message with this button showed. Buttons of other integrations are not found. */
export async function buttonOf(
  reader: Reader,
  integrationId: string,
  buttonId: string,
): Promise<MessageButtonsTable | null> {
  const found = await reader
    .selectFrom('message_buttons')
    .selectAll()
    .where('button_hash', '=', buttonHash(buttonId))
    .where('integration_id', '=', integrationId)
    .executeTakeFirst()
  return found ?? null
}

/** Two clocks differ, and a ticket is read before it is moved. */
const READ_BEFORE_MS = 30_000
/** Of one message that are looked at */
const MOST_RENDERINGS = 1000

/** What a vote is bound to, by a name that shows nothing of it. */
export function shownMark(row: Pick<MessageButtonsTable, 'request_digest' | 'facts_digest' | 'shown_json'>): string {
  return hash('sha256', JSON.stringify([row.request_digest, row.facts_digest, row.shown_json])).slice(0, 32)
}

interface Answered {
  /** As the message said it (MessageTask.shown); undefined: nobody says which */
  readonly shown?: string | undefined
  /** When, by the vendor's clock; undefined: not known */
  readonly at?: number | undefined
}

/**
 * What a message showed when it was answered by something that is no button of it. Without a word of which rendering that was, it
 * is the last one, if that stood there for a while before or nothing else was ever shown. `unclear`: it may have been another one.
 */
export async function shownWhen(
  reader: Reader,
  message: MessagesTable,
  { shown, at }: Answered,
): Promise<MessageButtonsTable | 'unclear' | null> {
  const rows = reader.selectFrom('message_buttons').where('message_id', '=', message.id)
  if (shown !== undefined) {
    const all = await rows.selectAll().orderBy('created_at', 'desc').limit(MOST_RENDERINGS).execute()
    return all.find((row) => shownMark(row) === shown) ?? null
  }
  const last = await rows.selectAll().orderBy('created_at', 'desc').limit(1).executeTakeFirst()
  if (!last) return null
  const stoodThere = message.state === 'settled' && at !== undefined && at >= message.changed_at + READ_BEFORE_MS
  if (stoodThere) return last
  const contents = await rows.select(['request_digest', 'facts_digest', 'shown_json']).distinct().limit(2).execute()
  return contents.length === 1 ? last : 'unclear'
}

export async function messageWithId(reader: Reader, id: string): Promise<MessagesTable | null> {
  return (await reader.selectFrom('messages').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
}

export async function messageNamed(
  reader: Reader,
  integrationId: string,
  external: string,
): Promise<MessagesTable | null> {
  const found = await reader
    .selectFrom('messages')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('external', '=', external)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return found ?? null
}

export function knownMessage(row: MessagesTable | null): KnownMessage | null {
  if (!row) return null
  const { id, request_id: requestId, audience, channel, account, external } = row
  return { id, requestId, audience, channel, account, external }
}
