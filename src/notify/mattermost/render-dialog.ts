import type { ChatForm, ChatFormField } from '../../contract/from-chat.ts'
import { inert, inertLine } from './inert-markdown.ts'
import { visibleLine } from '../words/inert-text.ts'

/** A form of ours as a dialog; limits are in code points. */
export interface Dialog {
  readonly callback_id: string
  readonly title: string
  readonly introduction_text: string
  readonly elements: readonly DialogElement[]
  readonly submit_label: string
  readonly notify_on_cancel: false
  readonly state: string
}

interface DialogElement {
  readonly display_name: string
  readonly name: string
  readonly type: 'text' | 'textarea' | 'select'
  readonly optional: boolean
  readonly help_text?: string
  readonly default?: string
  readonly max_length?: number
  readonly options?: readonly { readonly text: string; readonly value: string }[]
}

const TITLE = 24
const LABEL = 24
const HELP = 150
const INTRODUCTION = 2800
const MOST = { text: 150, textarea: 3000 } as const

/** `seal`: ours over nonce and user. Everything in a dialog passes through the person's client. */
export function renderDialog(form: ChatForm, seal: string): Dialog {
  return {
    callback_id: seal,
    title: plain(form.title, TITLE),
    introduction_text: introduction(form.text),
    elements: elementsOf(form.fields),
    submit_label: plain(form.submit, LABEL),
    notify_on_cancel: false,
    state: form.nonce,
  }
}

function introduction(lines: readonly string[]): string {
  let text = ''
  for (const line of lines) {
    const next = inertLine(line, 900).text
    if (text.length + next.length + 2 > INTRODUCTION) return `${text}\n\n…`
    text += text === '' ? next : `\n\n${next}`
  }
  return text
}

/** Five elements in all: every field, then where a list takes one entry alone a text for more of them, then spare fields. */
function elementsOf(fields: readonly ChatFormField[]): DialogElement[] {
  const needed = fields.filter(({ spare }) => spare !== true)
  let room = MOST_ELEMENTS - needed.length
  const taken = (): boolean => room > 0 && room-- > 0
  // The last list is the one of what is asked for by the dozen.
  const withMore = new Set(needed.toReversed().filter((field) => isLongList(field) && taken()))
  const shown = fields.filter((field) => needed.includes(field) || taken())
  return shown.slice(0, MOST_ELEMENTS).flatMap((field) => elements(field, withMore.has(field)))
}

const MOST_ELEMENTS = 5

const isLongList = ({ options, several }: ChatFormField): boolean => several && (options?.length ?? 0) > 1

function elements(field: ChatFormField, withMore: boolean): DialogElement[] {
  // A list without entries would never finish loading.
  const options = field.options?.length ? field.options : null
  const first = options ? select(field, options) : typed(field)
  if (!withMore) return [first]
  const more = { ...field, required: false, initial: null, multiline: false, maxLength: MOST.text }
  const help = `More than one: the others here, with commas between them`
  return [
    first,
    { ...typed({ ...more, label: `More ${field.label.toLowerCase()}`, hint: help }), name: `${field.name}more` },
  ]
}

function select(field: ChatFormField, options: NonNullable<ChatFormField['options']>): DialogElement {
  const known = options.find(({ value }) => value === field.initial)
  return {
    ...common(field),
    type: 'select',
    options: options.map(({ value, label }) => ({ value, text: plain(label, 100) })),
    ...(known ? { default: known.value } : {}),
  }
}

function typed(field: ChatFormField): DialogElement {
  const type = field.multiline ? 'textarea' : 'text'
  const most = Math.min(field.maxLength, MOST[type])
  const initial = field.initial === null ? {} : { default: plain(field.initial, most) }
  return { ...common(field), type, max_length: most, ...initial }
}

function common(field: ChatFormField) {
  const help = field.hint === null || field.hint === '' ? {} : { help_text: cut(inert(field.hint), HELP) }
  return { display_name: plain(field.label, LABEL), name: field.name, optional: !field.required, ...help }
}

/** Where Mattermost shows text as it is. Never empty: it refuses that. */
function plain(text: string, limit: number): string {
  const line = visibleLine(text)
  return line === '' ? '·' : cut(line, limit)
}

function cut(text: string, limit: number): string {
  const points = [...text]
  return points.length <= limit ? text : `${points.slice(0, limit - 1).join('')}…`
}
