import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aRequestView, aViewedReview, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { harmless } from '../../../test/support/mail/read-html.ts'
import { renderMail } from './render-mail.ts'

const mailOf = (reason: string, name = 'bob') =>
  renderMail({
    kind: 'request',
    view: aRequestView({
      reason,
      resolution: reason,
      warnings: [reason],
      needed: [reason],
      reviews: [aViewedReview({ reason, reviewer: name, why: reason, counts: false })],
    }),
    buttons: ['approve', 'deny', 'open'],
  })

function expectInert(mail: ReturnType<typeof mailOf>): void {
  expect(mail.subject).not.toMatch(/[\p{Cc}]/u)
  expect(mail.subject.length).toBeLessThanOrEqual(120)
  expect(mail.text.match(/[a-z]+:\/\/\S+/gi)).toEqual(['https://access.example.org/requests/req_1'])
  const { links, tags } = harmless(mail.html)
  expect(links).toEqual(['https://access.example.org/requests/req_1'])
  expect([...tags].filter((tag) => !ALLOWED.has(tag))).toEqual([])
}
const ALLOWED = new Set(['html', 'head', 'meta', 'title', 'body', 'p', 'b', 'a', 'table', 'tr', 'th', 'td', 'br'])

test('a mail says who wants what, for how long and why, what is missing, and has one link', () => {
  const mail = renderMail({ kind: 'request', view: aRequestView(), buttons: ['approve', 'deny', 'open'] })
  expect(mail.subject).toBe('alice asks for dba')
  expect(mail.text).toBe(`Waiting: 2 approvals of "dba team"

Who: alice
Roles: dba
For: 1h
Reason: ticket #1234
An approval gives: 3 nodes more: db-1, db-2, db-3
Answer until: 2026-01-02 11:55 UTC

https://access.example.org/requests/req_1

Answers to this mail are not read. Nothing is decided by opening the link: the page asks you to sign in.
`)
  expectInert(mail)
})

test('a mail of a decided request tells the decision and each vote', () => {
  const { text } = renderMail({
    kind: 'request',
    view: aRequestView({ state: 'denied', needed: [], resolution: 'denied by carol', reviews: [aViewedReview()] }),
    buttons: ['open'],
  })
  expect(text).toContain('Denied: denied by carol')
  expect(text).toContain('bob: 2026-01-01 11:56 UTC, approved: looks right')
})

test('trap 15: a reason cannot become markup, a link or a header of a mail', () => {
  for (const text of HOSTILE_TEXTS) expectInert(mailOf(text))
})

test('trap 15: no link, picture or markup of a mail comes from what people typed', () => {
  const piece = fc.oneof(fc.constantFrom(...HOSTILE_TEXTS.slice(0, 11)), anyText({ maxLength: 20 }))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => expectInert(mailOf(pieces.join('')))),
    { numRuns: 40 },
  )
})

test('trap 15: a notice is as inert as a request', () => {
  for (const text of HOSTILE_TEXTS) {
    const view = { topic: 'request.reviewed', text, url: 'https://access.example.org/requests/req_1', at: 0 }
    expectInert(renderMail({ kind: 'notice', view }))
  }
})
