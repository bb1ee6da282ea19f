import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { Modal, MessageBlocks } from '../../../test/support/slack/block-kit.ts'
import { shownText } from '../../../test/support/slack/fake-workspace.ts'
import { mrkdwnThings } from '../../../test/support/slack/mrkdwn-things.ts'
import type { Block } from './blocks.ts'
import { renderSaying } from './render-form.ts'
import { renderNotice } from './render-notice.ts'

const notice = (text: string): Block[] => renderNotice({ topic: 'grant.ending', text, url: null, at: 0 }).blocks

/** What Slack parses of it; sections in plain_text are not parsed. */
const parsed = (blocks: readonly Block[]): string[] =>
  blocks.flatMap((block) =>
    block.type === 'context' ? block.elements.flatMap(({ type, text }) => (type === 'mrkdwn' ? [text] : [])) : [],
  )

test('a time that a line names in UTC is shown in the zone of whoever reads it as well', () => {
  const blocks = notice('dba ends in 15m, at 2026-11-22 21:40 UTC; for more time: /access extend')
  expect(MessageBlocks.safeParse(blocks).success).toBe(true)
  expect(shownText(blocks)).toBe(
    [
      'dba ends in 15m, at 2026-11-22 21:40 UTC; for more time: /access extend',
      'In your time zone: <!date^1795383600^{date_short_pretty} {time}|2026-11-22 21:40 UTC>',
    ].join('\n'),
  )
  expect(parsed(notice('it has ended'))).toEqual([])
})

test('each time once, and three of them at most; what is no time is left alone', () => {
  const one = '2026-11-22 21:40 UTC'
  expect(parsed(notice(`${one}, ${one}, 2026-13-45 99:99 UTC`))[0]?.match(/<!date/g)).toHaveLength(1)
  const many = ['01', '02', '03', '04', '05'].map((day) => `2026-11-${day} 10:00 UTC`).join(' ')
  expect(parsed(notice(many))[0]?.match(/<!date/g)).toHaveLength(3)
})

test('the dialog that says what came of something does so too', () => {
  const modal = renderSaying('You asked for dba, from 2026-11-22 21:40 UTC (in 2h).', null)
  expect(Modal.safeParse(modal).success).toBe(true)
  expect(parsed(modal.blocks)[0]).toContain('<!date^1795383600^')
})

test('trap 14: whatever stands around a time, dates are all that Slack makes of a line', () => {
  const hostile = fc.tuple(anyText({ maxLength: 40 }), anyText({ maxLength: 40 }))
  fc.assert(
    fc.property(hostile, ([before, after]) => {
      for (const text of parsed(notice(`${before} 2026-11-22 21:40 UTC <!channel> ${after}`)))
        for (const { kind } of mrkdwnThings(text, true)) expect(kind).toBe('date')
    }),
    { numRuns: 100 },
  )
})
