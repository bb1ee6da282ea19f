import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Audience, AUDIENCES } from '../../contract/message.ts'
import { aRequestView, aViewedReview, HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { harmless } from '../../../test/support/mail/read-html.ts'
import { renderMail } from './render-mail.ts'

const mailOf = (reason: string, name = 'bob') =>
  renderMail(
    {
      kind: 'request',
      view: aRequestView({
        reason,
        resolution: reason,
        warnings: [reason],
        notes: [{ by: 'bot', text: reason, at: 1 }],
        needed: [reason],
        reviews: [aViewedReview({ reason, reviewer: name, why: reason, counts: false })],
      }),
      buttons: ['approve', 'deny', 'open'],
    },
    'reviewer',
  )

function expectInert(mail: ReturnType<typeof mailOf>): void {
  expect(mail.subject).not.toMatch(/[\p{Cc}]/u)
  expect(mail.subject.length).toBeLessThanOrEqual(120)
  expect(mail.text.match(/\b[a-z]+:\/\/\S+/gi)).toEqual(['https://access.example.org/requests/req_1'])
  const { links, tags } = harmless(mail.html)
  expect(links).toEqual(['https://access.example.org/requests/req_1'])
  expect([...tags].filter((tag) => !ALLOWED.has(tag))).toEqual([])
}
const ALLOWED = new Set(['html', 'head', 'meta', 'title', 'body', 'div', 'p', 'a', 'table', 'tr', 'th', 'td', 'br'])

const mailTo = (audience: Audience, view = aRequestView()) =>
  renderMail({ kind: 'request', view, buttons: ['open'] }, audience)

test('a mail says how it stands, then its one link, then who wants what, for how long and why', () => {
  const mail = mailTo('reviewer')
  expect(mail.subject).toBe('alice asks for dba for 1h [1]')
  expect(mail.text).toBe(`Waiting: 2 approvals of "dba team"
alice asks for dba for 1h [1]

Review the request:
https://access.example.org/requests/req_1

Who:               alice
Roles:             dba
For:               1h
Reason:            ticket #1234
An approval gives: 3 nodes more: db-1, db-2, db-3
Answer until:      2026-01-02 11:55 UTC

--\u0020
Answers to this mail are not read. Opening the link decides nothing: the
page asks you to sign in.
`)
  expectInert(mail)
  const seen = harmless(mail.html).text
  expect(seen.indexOf('Review the request')).toBeLessThan(seen.indexOf('ticket #1234'))
})

test('who asked is told of their own request; two requests for the same have two subjects', () => {
  expect(mailTo('requester').subject).toBe('Your request for dba for 1h [1]')
  expect(mailTo('requester', aRequestView({ kind: 'extension' })).subject).toBe('Your request to keep dba for 1h [1]')
  const other = aRequestView({ id: 'req_019a1b2c-0000-7000-8000-00000a1b2c3d' })
  expect(mailTo('reviewer', other).subject).toBe('alice asks for dba for 1h [1b2c3d]')
})

test('a mail of a decided request tells the decision and each vote', () => {
  const view = aRequestView({ state: 'denied', needed: [], resolution: 'denied by carol', reviews: [aViewedReview()] })
  const { text, html } = mailTo('requester', view)
  expect(text).toMatch(/^Denied: denied by carol\n/)
  expect(text).toContain('Votes:\n- bob: 2026-01-01 11:56 UTC, approved: looks right')
  expect(harmless(html).text).toContain('looks right')
})

test('a mail of a vote says what is still missing', () => {
  const request = { state: 'pending' as const, needed: ['1 approval of "dba team"'] }
  const view = {
    topic: 'request.reviewed',
    text: 'bob approved: "fine"',
    url: 'https://access.example.org/r/1',
    at: 0,
    request,
  }
  const { text } = renderMail({ kind: 'notice', view }, 'requester')
  expect(text).toMatch(/^bob approved: "fine"\n\nOpen the request:\nhttps:\/\/access\.example\.org\/r\/1\n/)
  expect(text).toContain('Still missing: 1 approval of "dba team"')
})

test('plain text is not wider than a terminal, whatever was typed, and a link is never broken', () => {
  const url = `https://access.example.org/r/${'x'.repeat(90)}`
  const words = Array.from({ length: 200 }, (_, index) => 'word'.repeat(1 + (index % 4))).join(' ')
  const view = aRequestView({
    url,
    reason: words,
    resolution: words,
    state: 'denied',
    reviews: [aViewedReview({ reason: words })],
  })
  const lines = mailTo('reviewer', view).text.split('\n')
  expect(lines.filter((line) => line.length > 76)).toEqual([url])
})

test('a name that holds line ends makes no header of a subject', () => {
  const user = 'alice\r\nBcc: victim@example.org'
  for (const audience of AUDIENCES)
    expect(mailTo(audience, aRequestView({ user, roles: ['a\nb'] })).subject).not.toMatch(/\p{Cc}/u)
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
    expectInert(renderMail({ kind: 'notice', view }, 'person'))
  }
})
