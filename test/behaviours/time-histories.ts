import { DAY, HOUR, MINUTE } from './time-model.ts'
import type { TimeAction } from './time-run.ts'

const question = (length = 10 * MINUTE): TimeAction => ({ do: 'ask', start: 'first-use', ahead: 0, length })
const approval = (which: number, later: number | null = null): TimeAction => ({
  do: 'approve',
  which,
  shorter: null,
  later,
})
const more = (length: number): TimeAction => ({ do: 'extend', which: 0, length })
const pass = (ms: number): TimeAction => ({ do: 'pass', ms })

/** What long runs have found, kept: each is played with every run, and by the search for planted bugs. */
export const KEPT_TIMES: readonly (readonly [promise: string, history: TimeAction[]])[] = [
  // From seeds 100019 and 100023: an extension that waits no more, unswept, stood in the way of others.
  ...[10 * MINUTE, 30 * MINUTE].map((length): [string, TimeAction[]] => [
    `an extension that was not decided in time makes room for one of ${length} ms`,
    [question(), approval(0, 10 * MINUTE), more(10 * MINUTE), pass(DAY), more(length), more(length)],
  ]),
  // From seeds 500063, 500067 and 500139.
  [
    'of two grants that would lapse at the same instant, the first use starts the one that was approved first',
    [question(), question(HOUR), approval(1), approval(0), { do: 'connect' }],
  ],
  [
    'of two grants that wait for their first use, it starts the one that lapses first',
    [question(), question(HOUR), approval(0, 10 * MINUTE), approval(1), pass(10 * MINUTE), { do: 'connect' }],
  ],
  // From seed 4711.
  [
    'an extension that is over, undecided, when its user is disabled expired with the grant',
    [question(), approval(0, 10 * MINUTE), more(10 * MINUTE), pass(DAY), { do: 'disable' }, approval(1)],
  ],
  // Found by nobody else soon enough: an extension of a grant that runs.
  [
    'more time for a grant that runs counts from its end, and its session lives until then',
    [
      { do: 'ask', start: 'approval', ahead: 0, length: 30 * MINUTE },
      approval(0),
      { do: 'connect' },
      more(10 * MINUTE),
      pass(10 * MINUTE),
      approval(1),
      pass(10 * MINUTE),
      pass(10 * MINUTE),
      pass(10 * MINUTE - 1),
      pass(1),
    ],
  ],
]
