import type { ChatForm, ChatFormField } from '../../contract/from-chat.ts'
import { DISCORD_MARKS } from '../../contract/vendors/discord.ts'
import { cutText, visibleLine } from '../words/inert-text.ts'

const LABEL = 18
const TEXT_INPUT = 4
const SELECT = 3
const TEXT = 10
const PARAGRAPH = 2
const SHORT = 1
const MOST_OPTIONS = 25

const MOST_COMPONENTS = 5

/** A modal of five components. Its title takes 45 characters, labels 45, hints 100, a list 25 entries; a longer one is typed. */
export function renderForm(form: ChatForm): object {
  const needed = form.fields.filter(({ spare }) => spare !== true)
  const spare = form.fields.filter((field) => field.spare === true)
  const chosen = new Set([...needed, ...spare].slice(0, MOST_COMPONENTS))
  const fields = form.fields.filter((field) => chosen.has(field))
  const texts = form.text.map((text) => ({ type: TEXT, content: cutText(escapedLine(text), 1000) }))
  return {
    type: 9,
    data: {
      custom_id: `${DISCORD_MARKS.form}:${form.nonce}`,
      title: cutText(visibleLine(form.title), 45),
      components: [...texts.slice(0, MOST_COMPONENTS - fields.length), ...fields.map(fieldOf)],
    },
  }
}

const escapedLine = (text: string): string => visibleLine(text).replace(/[!-/:-@[-`{-~]/g, (sign) => `\\${sign}`)

function fieldOf(field: ChatFormField): object {
  const list = chosen(field)
  const typedList = list === null && field.options !== null ? 'Names, with commas between them' : null
  const hint = typedList ?? field.hint
  const description = hint === null ? null : cutText(visibleLine(hint), 100)
  const component = list ?? typed(field)
  return {
    type: LABEL,
    label: cutText(visibleLine(field.label), 45),
    ...(description === null || description === '' ? {} : { description }),
    component,
  }
}

function chosen({ name, required, options, several, initial }: ChatFormField): object | null {
  if (options === null || options.length === 0 || options.length > MOST_OPTIONS) return null
  if (options.some(({ value }) => value.length > 100)) return null
  const picked = new Set(initial?.split(',') ?? [])
  return {
    type: SELECT,
    custom_id: name,
    required,
    min_values: required ? 1 : 0,
    max_values: several ? options.length : 1,
    options: options.map(({ value, label }) => ({
      value,
      label: cutText(visibleLine(label) || value, 100),
      ...(picked.has(value) ? { default: true } : {}),
    })),
  }
}

function typed({ name, required, initial, maxLength, multiline }: ChatFormField): object {
  const limit = Math.max(1, Math.min(4000, maxLength))
  return {
    type: TEXT_INPUT,
    custom_id: name,
    style: multiline ? PARAGRAPH : SHORT,
    required,
    max_length: limit,
    ...(initial === null ? {} : { value: cutText(initial, limit) }),
  }
}
