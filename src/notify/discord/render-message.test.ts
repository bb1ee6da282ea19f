import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aMessageTask, aRequestView, aViewedReview, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { AcceptedMessage } from '../../../test/support/discord/accepted.ts'
import { markupIn, shownText } from '../../../test/support/discord/read-markup.ts'
import { renderMessage } from './render-message.ts'

const taskOf = (text: string, reviews = 12) =>
  aMessageTask({
    destination: { channel: '123456789012345678', person: null },
    view: aRequestView({
      reason: text,
      resolution: text,
      warnings: [text],
      notes: [{ by: 'bot', text: text, at: 1 }],
      needed: [text],
      gives: [text],
      reviews: Array.from({ length: reviews }, () => aViewedReview({ reason: text, reviewer: 'bob' })),
    }),
  })

const buttonsOf = (message: ReturnType<typeof renderMessage>): string[] =>
  message.components.flatMap((row) => row.components.map(({ label }) => label))

/** Each text of the message that Discord renders. */
function textsOf(message: ReturnType<typeof renderMessage>): string[] {
  const { content, embeds } = AcceptedMessage.parse(message)
  const fields = embeds.flatMap((embed) => [embed.description, ...embed.fields.map(({ value }) => value)])
  return [content, ...fields]
}

test('a message says who wants what and why; its buttons carry nothing but their own random number', () => {
  const message = renderMessage(taskOf('ticket #1234'))
  expect(textsOf(message).map(shownText)).toEqual(expect.arrayContaining(['alice asks for dba', 'ticket #1234', '1h']))
  expect(message.components).toMatchObject([
    {
      components: [
        { label: 'Approve', custom_id: 'press:approve:0123456789abcdef0123456789abcdef' },
        { label: 'Deny', custom_id: 'press:deny:0123456789abcdef0123456789abcdef' },
        { label: 'Open', url: 'https://access.example.org/requests/req_1' },
      ],
    },
  ])
})

test('a message that had to cut what is asked for or why has no button that decides', () => {
  expect(buttonsOf(renderMessage(taskOf('x'.repeat(1000), 0)))).toEqual(['Approve', 'Deny', 'Open'])
  expect(buttonsOf(renderMessage(taskOf('x'.repeat(1025), 0)))).toEqual(['Open'])
  expect(buttonsOf(renderMessage(taskOf('*'.repeat(600), 0)))).toEqual(['Open'])
  const resources = Array.from({ length: 300 }, (_, index) => ({ kind: 'node' as const, name: `node-${index}` }))
  const many = aMessageTask({ view: aRequestView({ resources }) })
  expect(buttonsOf(renderMessage(many))).toEqual(['Open'])
})

test('a direct message, which belongs to no server, has no button that decides', () => {
  const person = { id: 'usr_1', name: 'bob', email: null, account: '123456789012345678' }
  const message = renderMessage({ ...taskOf('x'), audience: 'reviewer', destination: { channel: null, person } })
  expect(buttonsOf(message)).toEqual(['Open'])
})

test('nobody is ever mentioned by Discord itself', () => {
  expect(renderMessage(taskOf('@everyone')).allowed_mentions).toEqual({ parse: [] })
})

test('trap 15: no mention, link, emoji or markup of a message comes from what people typed, and Discord takes its sizes', () => {
  const expectInert = (text: string): void => {
    const message = renderMessage(taskOf(text))
    for (const shown of textsOf(message)) expect(markupIn(shown)).toEqual([])
  }
  for (const text of HOSTILE_TEXTS) expectInert(text)
  const piece = fc.oneof(fc.constantFrom(...HOSTILE_TEXTS.slice(0, 11)), anyText({ maxLength: 20 }))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => expectInert(pieces.join(''))),
    { numRuns: 30 },
  )
})
