import type { ChatAccountsTable } from '../../foundation/database/tables.ts'
import type { VendorAccount } from '../../contract/from-chat.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Reader } from '../directory.ts'
import { takeIn, type Arrival } from './arrival.ts'
import { OFFER_MS, type ChatParts } from './chat-parts.ts'
import { hashOf, randomText } from './secret-text.ts'

/** Without what is easily mistaken for something else; 60 bits in groups of four. */
const ALPHABET = '23456789abcdefghjkmnpqrstuvwxyz'
const CODE_CHARACTERS = 12
/** Codes that one account may be shown within ten minutes */
const MOST_OFFERS = 5

/** Who is linked with the account of a vendor, as that very integration vouches for it. Null: nobody. */
export async function accountOf(
  reader: Reader,
  integrationId: string,
  { tenant, id }: VendorAccount,
): Promise<ChatAccountsTable | null> {
  const found = await reader
    .selectFrom('chat_accounts')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('tenant', '=', tenant)
    .where('external_id', '=', id)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  return found ?? null
}

/**
 * `k3xm-9qpa-7t2w`: shown to the account alone, or good for `forUser` alone. Errors: Refused('too_many_attempts'), AlreadyHere.
 */
export async function offerLink(
  parts: Pick<ChatParts, 'database' | 'clock'>,
  arrival: Arrival,
  forUser: string | null,
): Promise<string> {
  const code = newLinkCode()
  const { account } = arrival.event
  await parts.database.transact(async (tx) => {
    const now = await parts.database.storeNow(tx, parts.clock)
    await takeIn(tx, arrival, 'open', now)
    await tx.deleteFrom('chat_link_offers').where('expires_at', '<=', now).execute()
    const mine = await tx
      .selectFrom('chat_link_offers')
      .select('code_hash')
      .where('integration_id', '=', arrival.integration.id)
      .where('tenant', '=', account.tenant)
      .where('external_id', '=', account.id)
      .execute()
    if (mine.length >= MOST_OFFERS)
      throw new Refused('too_many_attempts', 'there were several codes for this account already', 'use one of them')
    await tx
      .insertInto('chat_link_offers')
      .values({
        code_hash: hashOf('link', code),
        integration_id: arrival.integration.id,
        tenant: account.tenant,
        external_id: account.id,
        external_name: shownName(account.name),
        created_at: now,
        expires_at: now + OFFER_MS,
        used_at: null,
        for_user: forUser,
      })
      .execute()
  })
  return code
}

function newLinkCode(): string {
  const bytes = Buffer.from(randomText(), 'base64url')
  // 31 letters: bytes from 248 on would make the first ones likelier.
  const letters = [...bytes].filter((byte) => byte < 248).map((byte) => ALPHABET[byte % ALPHABET.length] ?? '')
  if (letters.length < CODE_CHARACTERS) return newLinkCode()
  return [0, 4, 8].map((at) => letters.slice(at, at + 4).join('')).join('-')
}

/** As it is hashed: what people type in capitals or without dashes is the same code. Null: it is none. */
export function readLinkCode(text: string): string | null {
  const letters = text.toLowerCase().replace(/[\s-]/g, '')
  if (letters.length !== CODE_CHARACTERS || [...letters].some((letter) => !ALPHABET.includes(letter))) return null
  return `${letters.slice(0, 4)}-${letters.slice(4, 8)}-${letters.slice(8)}`
}

/** A vendor's name of somebody, for one line: control and formatting characters are blanks. */
export function shownName(name: string): string {
  const plain = name
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .trim()
  return plain === '' ? 'somebody without a name' : [...plain].slice(0, 80).join('')
}
