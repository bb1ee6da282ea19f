import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aMessageTask, aRequestView, aViewedReview, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { AcceptedPost } from '../../../test/support/teams/accepted-post.ts'
import { renderCard } from './render-card.ts'

const cardOf = (text: string, isUpdate = false) =>
  renderCard(
    aMessageTask({
      view: aRequestView({
        reason: text,
        resolution: text,
        warnings: [text],
        notes: [{ by: 'bot', text: text, at: 1 }],
        needed: [text],
        gives: [text],
        reviews: Array.from({ length: 12 }, () => aViewedReview({ reason: text })),
      }),
    }).content,
    isUpdate,
  )

function expectInert(post: ReturnType<typeof renderCard>): void {
  const json = JSON.stringify(post)
  expect(Buffer.byteLength(json)).toBeLessThanOrEqual(28_000)
  expect(AcceptedPost.safeParse(post).error).toBeUndefined()
  expect(json.match(/https?:\/\/[^"]*/g)).toEqual([
    'http://adaptivecards.io/schemas/adaptive-card.json',
    'https://access.example.org/requests/req_1',
  ])
  expect(json).not.toMatch(/[$@{]\{[^"}]|<\/?at\b|www\.\w|@[a-z]/i)
}

test('a card says who wants what and why, and its only button opens the page', () => {
  const post = renderCard(aMessageTask().content, false)
  const texts = JSON.stringify(post)
  for (const text of ['alice asks for dba', '2 approvals of', 'ticket #1234', '1h']) expect(texts).toContain(text)
  expect(post.attachments[0].content).toMatchObject({
    actions: [{ type: 'Action.OpenUrl', url: 'https://access.example.org/requests/req_1' }],
  })
  expect(JSON.stringify(renderCard(aMessageTask().content, true)).length).toBeLessThan(texts.length)
})

test('trap 15: no template, link or mention of a card comes from what people typed', () => {
  for (const text of HOSTILE_TEXTS) expectInert(cardOf(text))
  const piece = fc.oneof(fc.constantFrom(...HOSTILE_TEXTS.slice(0, 11)), anyText({ maxLength: 20 }))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), fc.boolean(), (pieces, isUpdate) =>
      expectInert(cardOf(pieces.join(''), isUpdate)),
    ),
    { numRuns: 30 },
  )
})
