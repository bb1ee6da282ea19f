import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aMessageTask, aRequestView, aViewedReview } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { MessageBlocks, MOST_TEXT, textIn } from '../../../test/support/slack/block-kit.ts'
import { buttonsOf, shownText } from '../../../test/support/slack/fake-workspace.ts'
import { mrkdwnThings } from '../../../test/support/slack/mrkdwn-things.ts'
import type { RequestView } from '../../contract/message.ts'
import { renderNotice } from './render-notice.ts'
import { renderRequest, type SlackMessage } from './render-request.ts'

const BUTTON_ID = 'b'.repeat(32)
const VOTING = ['approve', 'deny', 'open'] as const
const render = (view: RequestView): SlackMessage => renderRequest(view, VOTING, BUTTON_ID, 'channel')

/** Labels of what can be pressed, after Slack took the message. */
function offered(message: SlackMessage): string[] {
  return buttonsOf(MessageBlocks.parse(message.blocks)).map((button) => button.label)
}

/** Links and mentions that Slack makes of a message; our own dates are neither. */
function thingsIn({ text, blocks }: SlackMessage) {
  const found = mrkdwnThings(text, false)
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { type, text: inner, verbatim } = value as { type?: string; text?: unknown; verbatim?: boolean }
    if (type === 'mrkdwn') found.push(...mrkdwnThings(String(inner), verbatim === true))
    for (const each of Object.values(value)) walk(each)
  }
  walk(blocks)
  return found.filter(({ kind }) => kind !== 'date')
}

describe('a request as a message of Slack', () => {
  test('shows who asks for what, why and how long, and can be answered', () => {
    const message = render(aRequestView())
    expect(offered(message)).toEqual(['Approve', 'Deny', 'Open'])
    const shown = shownText(message.blocks)
    for (const fact of ['alice asks for dba', 'ticket #1234', '1h', '2 approvals of "dba team"', '3 nodes more'])
      expect(shown).toContain(fact)
    expect(message.text).toContain('alice asks for dba')
  })

  test('shows every answer with its reason, and whether it counts', () => {
    const reviews = [
      aViewedReview({ duration: 1_800_000 }),
      aViewedReview({ reviewer: 'eve', decision: 'deny', reason: 'not now', counts: false, why: 'replaced' }),
      aViewedReview({ reviewer: 'carol', onBehalfOf: 'dave', reason: '' }),
    ]
    const shown = shownText(render(aRequestView({ reviews })).blocks)
    expect(shown).toContain('✓ bob approved for 30m: looks right')
    expect(shown).toContain('✗ eve denied (does not count: replaced): not now')
    expect(shown).toContain('✓ carol for dave approved')
  })

  test('says how it ended', () => {
    const decided = aRequestView({
      state: 'denied',
      decidedAt: 1_767_268_800_000,
      resolution: 'denied by eve',
      needed: [],
    })
    const message = renderRequest(decided, ['open'], BUTTON_ID, 'channel')
    expect(shownText(message.blocks)).toContain('Denied: alice, dba')
    expect(shownText(message.blocks)).toContain('denied by eve')
    expect(offered(message)).toEqual(['Open'])
  })

  test('trap 13: buttons carry nothing but the id that the message was given', () => {
    const values = buttonsOf(MessageBlocks.parse(render(aRequestView()).blocks)).map(({ value }) => value)
    expect(values).toEqual([BUTTON_ID, BUTTON_ID, undefined])
  })

  test.each([
    ['roles', aRequestView({ roles: Array.from({ length: 50 }, (_, n) => `role-${n}-`.padEnd(63, 'x')) })],
    [
      'resources',
      aRequestView({
        resources: Array.from({ length: 300 }, (_, n) => ({ kind: 'node' as const, name: `node-${n}` })),
      }),
    ],
    ['reason', aRequestView({ reason: '\u202e'.repeat(1365) })],
    ['what it gives', aRequestView({ gives: Array.from({ length: 300 }, (_, n) => `node-${n}`) })],
  ])('a message that had to cut its %s can only be opened', (_what, view) => {
    const message = render(view)
    expect(offered(message)).toEqual(['Open'])
    expect(shownText(message.blocks)).toContain('This message had to be cut')
  })

  test('the longest reason that a request may have is shown whole', () => {
    const reason = Array.from({ length: 512 }, (_, n) => `w${n}`.padEnd(7, 'x')).join(' ')
    const message = render(aRequestView({ reason }))
    expect(shownText(message.blocks).replaceAll('\n', '')).toContain(reason)
    expect(offered(message)).toContain('Approve')
  })

  test('a reason that this integration leaves out is not shown, and not called none', () => {
    expect(shownText(render(aRequestView({ reason: null })).blocks)).toContain('Not shown here')
  })

  test('trap 14: a hostile reason mentions nobody, links nowhere, and is cut by whole characters', () => {
    const reason = `<!channel> <@U1> <https://evil.example|Open request> &lt; *_~${'`'.repeat(3)}${'😀'.repeat(5000)}\u202e`
    const message = render(aRequestView({ reason, reviews: [aViewedReview({ reason })] }))
    expect(thingsIn(message)).toEqual([])
    expect(JSON.stringify(message)).not.toMatch(/\\ud[89a-f]|\u202e/i)
    expect(offered(message)).toEqual(['Open'])
  })

  test('trap 14: no text of a person becomes a link or a mention, whatever it is', () => {
    const nasty = fc.oneof(
      anyText({ maxLength: 60 }),
      fc.constantFrom(
        '<!here>',
        '<@U024BE7LH>',
        '@channel',
        'https://evil.example/x',
        'www.evil.example',
        '<https://a.evil|b>',
        '&lt;!here&gt;',
        '#general',
        '<!date^1^{date}^https://evil.example|x>',
        '\ud800',
        '\u0000',
      ),
    )
    const text = fc.array(nasty, { maxLength: 4 }).map((parts) => parts.join(' '))
    fc.assert(
      fc.property(text, text, text, text, (reason, vote, needed, user) => {
        const view = aRequestView({
          reason,
          user,
          roles: [user],
          needed: [needed],
          warnings: [vote],
          notes: [{ by: 'bot', text: vote, at: 1 }],
          gives: [vote],
          resolution: needed,
          reviews: [aViewedReview({ reason: vote, reviewer: user })],
        })
        const message = render(view)
        MessageBlocks.parse(message.blocks)
        expect(textIn(message.blocks)).toBeLessThanOrEqual(MOST_TEXT)
        expect(thingsIn(message)).toEqual([])
        expect(thingsIn(renderNotice({ topic: 'request.reviewed', text: reason, url: null, at: 0 }))).toEqual([])
      }),
      { numRuns: 150 },
    )
  })

  test('the largest request there can be stays within what Slack takes', () => {
    const long = '\u202e'.repeat(4096)
    const view = aRequestView({
      roles: Array.from({ length: 50 }, (_, n) => `role-${n}-`.padEnd(63, 'x')),
      resources: Array.from({ length: 300 }, (_, n) => ({ kind: 'node' as const, name: `node-${n}-`.padEnd(63, 'x') })),
      reason: long,
      gives: Array(50).fill(long) as string[],
      needed: Array(50).fill(long) as string[],
      warnings: Array(50).fill(long) as string[],
      notes: Array.from({ length: 5 }, () => ({ by: 'bot', text: long, at: 1 })),
      reviews: Array.from({ length: 50 }, () => aViewedReview({ reason: long })),
    })
    const { blocks } = render(view)
    MessageBlocks.parse(blocks)
    expect(textIn(blocks)).toBeLessThanOrEqual(MOST_TEXT)
    expect(aMessageTask({ view }).content.kind).toBe('request')
  })
})
