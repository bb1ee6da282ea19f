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

/** What the message showed last. */
export async function lastShownBy(reader: Reader, messageId: string): Promise<MessageButtonsTable | null> {
  const found = await reader
    .selectFrom('message_buttons')
    .selectAll()
    .where('message_id', '=', messageId)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return found ?? null
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
