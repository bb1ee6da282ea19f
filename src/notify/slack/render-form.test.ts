import { describe, expect, test } from 'vitest'
import { HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { Modal } from '../../../test/support/slack/block-kit.ts'
import { shownText } from '../../../test/support/slack/fake-workspace.ts'
import type { ChatForm, ChatFormField } from '../../contract/from-chat.ts'
import { renderForm, renderSaying } from './render-form.ts'

const field = (overrides: Partial<ChatFormField> = {}): ChatFormField => ({
  name: 'reason',
  label: 'Reason',
  hint: null,
  required: true,
  initial: null,
  maxLength: 4096,
  multiline: true,
  options: null,
  several: false,
  ...overrides,
})
const form = (overrides: Partial<ChatForm> = {}): ChatForm => ({
  kind: 'review',
  nonce: 'n'.repeat(43),
  title: 'Approve this request of alice?',
  text: ['alice asks for dba'],
  submit: 'Approve',
  fields: [field()],
  ...overrides,
})
/** Of the only field, after Slack took the dialog. */
function elementOf(overrides: Partial<ChatFormField>) {
  const input = Modal.parse(renderForm(form({ fields: [field(overrides)] }))).blocks.find(
    (block) => block.type === 'input',
  )
  if (!input) throw new Error('there is no field')
  return input.element
}
const options = (count: number) => Array.from({ length: count }, (_, n) => ({ value: `role-${n}`, label: `role-${n}` }))

describe('a form as a dialog of Slack', () => {
  test('carries the nonce and nothing of the request, and a title that fits', () => {
    const view = Modal.parse(renderForm(form()))
    expect(view.private_metadata).toBe('n'.repeat(43))
    expect(view.title.text).toBe('Approve this request of…')
    expect(JSON.stringify(view)).not.toContain('req_')
  })

  test('a text is typed up to what Slack takes', () => {
    expect(elementOf({ initial: 'x'.repeat(5000) })).toMatchObject({ type: 'plain_text_input', max_length: 3000 })
    expect(elementOf({ maxLength: 20, initial: '1h', multiline: false })).toMatchObject({
      max_length: 20,
      initial_value: '1h',
    })
  })

  test('one of a list, several of a list, and more than a list holds', () => {
    expect(elementOf({ options: options(3), initial: 'role-1' })).toMatchObject({
      type: 'static_select',
      initial_option: { value: 'role-1' },
    })
    expect(elementOf({ options: options(3), several: true, initial: 'role-1, role-2' })).toMatchObject({
      type: 'multi_static_select',
      initial_options: [{ value: 'role-1' }, { value: 'role-2' }],
    })
    const many = elementOf({ options: options(250), several: true })
    expect(many.type === 'multi_static_select' && many.option_groups?.map((group) => group.options.length)).toEqual([
      100, 100, 50,
    ])
  })

  test('an empty list, with which Slack’s dialog would never load, is a text', () => {
    expect(elementOf({ options: [] })).toMatchObject({ type: 'plain_text_input' })
  })

  test.each(HOSTILE_TEXTS)('trap 14: %j is a text in every place', (text) => {
    const fields = [field({ label: text, hint: text, options: [{ value: 'a', label: text }] })]
    const view = Modal.parse(renderForm(form({ title: text, text: [text], submit: text, fields })))
    const saying = Modal.parse(renderSaying(text, 'https://access.example.org/confirm/x'))
    for (const shown of [view, saying]) {
      expect(JSON.stringify(shown)).not.toContain('mrkdwn')
      expect(shownText(shown)).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000\u001b]/)
    }
  })
})
