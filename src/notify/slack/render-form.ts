import type { ChatForm, ChatFormField } from '../../contract/from-chat.ts'
import { SLACK_DIALOG, slackActionId } from '../../contract/vendors/slack.ts'
import {
  LIMITS,
  openButton,
  plain,
  readerTimes,
  type Block,
  type InputElement,
  type Modal,
  type Option,
} from './blocks.ts'
import { cutTo, inertLine, inertLines } from './inert-text.ts'

/** Name of every input inside its block; blocks are named by their field. */
const VALUE = 'value'

/** A form as a dialog of Slack. What is typed comes back with the nonce; nothing else of the form is believed. */
export function renderForm(form: ChatForm): Modal {
  return {
    type: 'modal',
    callback_id: SLACK_DIALOG,
    private_metadata: form.nonce,
    title: plain(titled(form.title)),
    submit: plain(titled(form.submit)),
    close: plain('Close'),
    blocks: [
      ...form.text.slice(0, 50).flatMap(paragraph),
      ...readerTimes(form.text.join('\n')),
      ...form.fields.map(field),
    ],
  }
}

/** A dialog that only says something. */
export function renderSaying(text: string, url: string | null): Modal {
  const open = url === null ? [] : openButton(slackActionId('open'), 'Open in the browser', url)
  return {
    type: 'modal',
    title: plain('Sallyport'),
    close: plain('Close'),
    blocks: [
      ...(paragraph(text).length === 0 ? paragraph('Done.') : paragraph(text)),
      ...readerTimes(text),
      ...(open.length === 0 ? [] : [{ type: 'actions' as const, elements: open }]),
    ],
  }
}

const titled = (text: string): string => cutTo(inertLine(text), LIMITS.modalTitle).text || 'Sallyport'

function paragraph(text: string): Block[] {
  const shown = cutTo(inertLines(text), LIMITS.section).text
  return shown === '' ? [] : [{ type: 'section', text: plain(shown) }]
}

function field(asked: ChatFormField): Block {
  return {
    type: 'input',
    block_id: asked.name,
    label: plain(cutTo(inertLine(asked.label), LIMITS.label).text),
    ...(asked.hint === null || asked.hint === ''
      ? {}
      : { hint: plain(cutTo(inertLine(asked.hint), LIMITS.label).text) }),
    optional: !asked.required,
    element: element(asked),
  }
}

function element(asked: ChatFormField): InputElement {
  // Slack's dialog never finishes loading with an empty list of options.
  if (asked.options === null || asked.options.length === 0) return typed(asked)
  const options = asked.options.slice(0, LIMITS.groups * LIMITS.optionsInGroup).map(option)
  const offered = optionsOrGroups(options)
  const chosen = options.filter(({ value }) => initialValues(asked).includes(value))
  if (asked.several)
    return {
      type: 'multi_static_select',
      action_id: VALUE,
      ...offered,
      ...(chosen.length === 0 ? {} : { initial_options: chosen.slice(0, 100) }),
    }
  const first = chosen[0]
  return {
    type: 'static_select',
    action_id: VALUE,
    ...offered,
    ...(first === undefined ? {} : { initial_option: first }),
  }
}

const initialValues = (asked: ChatFormField): string[] =>
  asked.several ? (asked.initial ?? '').split(',').map((value) => value.trim()) : [asked.initial ?? '']

function typed(asked: ChatFormField): InputElement {
  const longest = Math.min(LIMITS.typed, asked.maxLength)
  const initial = cutTo(asked.initial ?? '', longest).text
  return {
    type: 'plain_text_input',
    action_id: VALUE,
    multiline: asked.multiline,
    max_length: longest,
    ...(initial === '' ? {} : { initial_value: initial }),
  }
}

const option = ({ value, label }: { value: string; label: string }): Option => ({
  text: plain(cutTo(inertLine(label), LIMITS.option).text),
  value,
})

/** A select takes 100 options; more only in groups. */
function optionsOrGroups(options: Option[]) {
  if (options.length <= LIMITS.optionsInGroup) return { options }
  const groups = []
  for (let at = 0; at < options.length; at += LIMITS.optionsInGroup) {
    const part = options.slice(at, at + LIMITS.optionsInGroup)
    const label = `${part[0]?.text.text ?? ''} – ${part.at(-1)?.text.text ?? ''}`
    groups.push({ label: plain(cutTo(label, LIMITS.option).text), options: part })
  }
  return { option_groups: groups }
}
