// The part of Block Kit that we send. Limits are Slack's (https://docs.slack.dev/reference/block-kit), in characters.

export interface PlainText {
  readonly type: 'plain_text'
  readonly text: string
  /** False: `:smile:` stays what it is */
  readonly emoji: false
}

/** Our own words alone: never a text of a person. */
export interface Mrkdwn {
  readonly type: 'mrkdwn'
  readonly text: string
  /** True: Slack links nothing that is not marked up as a link */
  readonly verbatim: true
}

export interface Button {
  readonly type: 'button'
  readonly action_id: string
  readonly text: PlainText
  readonly value?: string
  readonly url?: string
  readonly style?: 'primary' | 'danger'
}

export interface Option {
  readonly text: PlainText
  readonly value: string
}

export interface OptionGroup {
  readonly label: PlainText
  readonly options: Option[]
}

export type InputElement =
  | {
      readonly type: 'plain_text_input'
      readonly action_id: string
      readonly multiline: boolean
      readonly max_length: number
      readonly initial_value?: string
    }
  | {
      readonly type: 'static_select'
      readonly action_id: string
      readonly options?: Option[]
      readonly option_groups?: OptionGroup[]
      readonly initial_option?: Option
    }
  | {
      readonly type: 'multi_static_select'
      readonly action_id: string
      readonly options?: Option[]
      readonly option_groups?: OptionGroup[]
      readonly initial_options?: Option[]
    }

export type Block =
  | { readonly type: 'header'; readonly text: PlainText }
  | { readonly type: 'section'; readonly text: PlainText | Mrkdwn }
  | { readonly type: 'section'; readonly fields: (PlainText | Mrkdwn)[] }
  | { readonly type: 'context'; readonly elements: (PlainText | Mrkdwn)[] }
  | { readonly type: 'actions'; readonly elements: Button[] }
  | { readonly type: 'divider' }
  | {
      readonly type: 'input'
      readonly block_id: string
      readonly label: PlainText
      readonly hint?: PlainText
      readonly optional: boolean
      readonly element: InputElement
    }

export interface Modal {
  readonly type: 'modal'
  readonly callback_id?: string
  readonly private_metadata?: string
  readonly title: PlainText
  readonly submit?: PlainText
  readonly close: PlainText
  readonly blocks: Block[]
}

export const LIMITS = {
  header: 150,
  section: 3000,
  field: 2000,
  button: 75,
  buttonUrl: 3000,
  option: 75,
  optionsInGroup: 100,
  groups: 100,
  label: 2000,
  modalTitle: 24,
  typed: 3000,
} as const

/** Slack refuses a text of nothing but blanks. */
export const NOTHING = '·'

export const plain = (text: string): PlainText => ({
  type: 'plain_text',
  text: text.trim() === '' ? NOTHING : text,
  emoji: false,
})
export const mrkdwn = (text: string): Mrkdwn => ({ type: 'mrkdwn', text, verbatim: true })

/** In the reader's own time zone; UTC where it cannot be shown. Only in mrkdwn. `at`: ms since 1970. */
export function instant(at: number): string {
  const utc = new Date(at).toISOString().slice(0, 16).replace('T', ' ')
  return `<!date^${Math.floor(at / 1000)}^{date_short_pretty} {time}|${utc} UTC>`
}

/** Opens a page of ours; decides nothing. Left out where the address is too long for Slack. */
export function openButton(actionId: string, label: string, url: string): Button[] {
  return url.length > LIMITS.buttonUrl ? [] : [{ type: 'button', action_id: actionId, text: plain(label), url }]
}

const NAMED = /\b(20\d\d-\d\d-\d\d) (\d\d:\d\d) UTC\b/g
const MOST_NAMED = 3

/**
 * The instants that a sentence names in UTC, once more in the reader's own time zone. Nothing but their digits comes from the
 * sentence, which may hold words of people.
 */
export function readerTimes(text: string): Block[] {
  const named = [...text.matchAll(NAMED)].map(([, day, time]) => Date.parse(`${day ?? ''}T${time ?? ''}:00Z`))
  const instants = [...new Set(named.filter(Number.isFinite))].slice(0, MOST_NAMED)
  if (instants.length === 0) return []
  return [{ type: 'context', elements: [mrkdwn(`In your time zone: ${instants.map(instant).join(', ')}`)] }]
}
