import { createHash } from 'node:crypto'
import type { MessageTask, RequestView } from '../../contract/message.ts'
import { DISCORD_MARKS } from '../../contract/vendors/discord.ts'
import { requestWords } from '../words/request-words.ts'
import { discordText } from './discord-text.ts'

// What Discord is sent: one embed, under it one row of buttons. Sizes are Discord's: content 2000, title 256, description 4096,
// 25 fields of 256 and 1024, 6000 in all of an embed.

const SIZE = {
  content: 300,
  title: 200,
  state: 500,
  field: 1024,
  review: 200,
  reviews: 1000,
  warnings: 400,
  notes: 450,
} as const
/** The smallest of the fields go first, what people typed last: the sum of all stays below Discord's 6000 */
const FIELDS_TOTAL = 3400
const MOST_FIELDS = 15

const NOBODY = { parse: [] } as const
/** Discord drops a second message with the same nonce for some minutes; it takes 25 characters. */
export const nonceOf = (onceId: string): string => createHash('sha256').update(onceId).digest('base64url').slice(0, 24)

const ROW = 1
const BUTTON = 2
const STYLE = { approve: 3, deny: 4, cancel: 2, extend: 2, return: 2, link: 5 } as const
const LABELS = {
  approve: 'Approve',
  deny: 'Deny',
  cancel: 'Cancel request',
  extend: 'Extend',
  return: 'Return access',
} as const
const COLOURS = { pending: 0xf0ad4e, approved: 0x2e7d32, denied: 0xb3261e, cancelled: 0x757575, expired: 0x757575 }

type PressedButton = keyof typeof LABELS

interface DiscordButton {
  readonly type: typeof BUTTON
  readonly style: number
  readonly label: string
  readonly custom_id?: string
  readonly url?: string
}

export interface DiscordMessage {
  readonly content: string
  readonly embeds: readonly object[]
  readonly components: readonly { readonly type: typeof ROW; readonly components: readonly DiscordButton[] }[]
  readonly allowed_mentions: { readonly parse: readonly never[] }
}

export function renderMessage({ content, buttonId, destination }: MessageTask): DiscordMessage {
  if (content.kind === 'notice') {
    const { text } = discordText(content.view.text, 1800)
    return { content: text, embeds: [], components: linkRow(content.view.url), allowed_mentions: NOBODY }
  }
  const { embed, cut } = embedOf(content.view)
  // A direct message belongs to no server, so what is pressed there cannot be told to come from one that counts.
  const pressable = !cut && destination.channel !== null
  const pressed = pressable ? content.buttons.filter((button): button is PressedButton => button !== 'open') : []
  const open = content.buttons.includes('open') || !pressable ? [linkButton(content.view.url)] : []
  const row = [...pressed.map((button) => pressButton(button, buttonId)), ...open].slice(0, 5)
  return {
    content: discordText(requestWords(content.view).subject, SIZE.content).text,
    embeds: [embed],
    components: row.length === 0 ? [] : [{ type: ROW, components: row }],
    allowed_mentions: NOBODY,
  }
}

function pressButton(button: PressedButton, buttonId: string): DiscordButton {
  return {
    type: BUTTON,
    style: STYLE[button],
    label: LABELS[button],
    custom_id: `${DISCORD_MARKS.button}:${button}:${buttonId}`,
  }
}

const linkButton = (url: string): DiscordButton => ({ type: BUTTON, style: STYLE.link, label: 'Open', url })

const linkRow = (url: string | null): DiscordMessage['components'] =>
  url === null ? [] : [{ type: ROW, components: [linkButton(url)] }]

/** `cut`: not all of who, what and why is there, so nobody may decide from this message. */
function embedOf(view: RequestView): { readonly embed: object; readonly cut: boolean } {
  const words = requestWords(view)
  let left = FIELDS_TOTAL
  let cut = words.facts.length > MOST_FIELDS
  const fields = words.facts.slice(0, MOST_FIELDS).map(({ label, text }) => {
    const shown = discordText(text, Math.max(40, Math.min(SIZE.field, left)))
    left -= shown.text.length + label.length
    cut ||= shown.cut
    return { name: label, value: shown.text === '' ? '\u200b' : shown.text, inline: label !== 'Reason' }
  })
  const votes = listed(
    words.reviews.map(({ label, text }) => discordText(`${label}: ${text}`, SIZE.review).text),
    SIZE.reviews,
  )
  const notes = listed(
    words.warnings.map((text) => discordText(text, SIZE.review).text),
    SIZE.warnings,
  )
  const said = listed(
    words.notes.map(({ label, text }) => discordText(`${label}: ${text}`, SIZE.review).text),
    SIZE.notes,
  )
  const more = [
    ...(votes === '' ? [] : [{ name: 'Votes', value: votes, inline: false }]),
    ...(said === '' ? [] : [{ name: 'Notes of programs', value: said, inline: false }]),
    ...(notes === '' ? [] : [{ name: 'Mind', value: notes, inline: false }]),
  ]
  const description = discordText(words.state, SIZE.state).text
  // A foot is no markup. By it people name the request, and we find a message again whose fate is unknown.
  const footer = { text: view.id }
  return { embed: { description, color: COLOURS[view.state], fields: [...fields, ...more], footer }, cut }
}

/** The newest lines that fit. */
function listed(lines: readonly string[], limit: number): string {
  const kept: string[] = []
  let length = 0
  for (const line of lines.toReversed()) {
    if (length + line.length + 1 > limit) break
    kept.unshift(line)
    length += line.length + 1
  }
  return kept.join('\n')
}
