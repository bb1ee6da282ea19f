import { HOUR, MINUTE } from './decision-model.ts'
import type { Action } from './decision-run.ts'

const setting = { do: 'setting', name: 'ask1', rules: 0, cap: 0, reach: 0, denies: null } as const
const question = {
  do: 'ask',
  who: 0,
  roles: ['p'],
  duration: 3 * HOUR,
  pending: 30 * MINUTE,
  reason: 0,
  start: 'approval',
} as const
const more = { do: 'extend', who: null, which: -1, duration: 30 * MINUTE, reason: 0 } as const
const approval = (who: number, which: number): Action => {
  return { do: 'vote', who, which, approve: true, duration: null, reason: 0, stale: false }
}
const edit = { do: 'user', who: 3, rights: 2, x: false, disabled: 1, reset: 0, rename: 0 } as const
/** Shortest histories of what long runs found, with their seeds, and of what random histories seldom come to. */
export const KEPT_HISTORIES: readonly (readonly [string, Action[]])[] = [
  [
    'an extension and its grant are over at the same instant: 100018',
    [
      ...[setting, question as Action, approval(5, 0), more, { do: 'clock', by: 6 * HOUR } as Action],
      ...[{ do: 'lock', kind: 'user', who: 0, role: 'p', which: -1 } as Action, approval(4, -1)],
    ],
  ],
  [
    'the same vote again, by somebody who may review less than before: 100026',
    [
      ...[{ ...setting, rules: 3 } as Action, { ...setting, name: 'ask2', reach: 1 } as Action],
      ...[
        { ...question, who: 1, roles: ['q', 'p'], duration: null } as Action,
        approval(3, 0),
        edit as Action,
        approval(3, 0),
      ],
    ],
  ],
  [
    'a refused vote is an event, so that a clock set back behind it is not believed',
    [
      ...[setting, question as Action, { do: 'clock', by: 6 * HOUR } as Action, approval(0, 0)],
      ...[
        { do: 'clock', by: -2 * HOUR } as Action,
        { do: 'lock', kind: 'user', who: 0, role: 'p', which: 0 } as Action,
      ],
    ],
  ],
  [
    'an extension waits no more, and others are asked for',
    [
      ...[
        setting,
        { ...question, start: 'first-use' } as Action,
        approval(5, 0),
        more,
        { do: 'clock', by: 23 * HOUR } as Action,
      ],
      ...[{ do: 'clock', by: HOUR } as Action, { ...more, duration: HOUR } as Action],
    ],
  ],
  [
    'the same thresholds by another role than the one that the approval was cast under: 500076',
    [
      ...[{ ...setting, rules: 5 } as Action, { ...setting, name: 'ask2', reach: 2 } as Action],
      ...[{ ...question, who: 1 } as Action, approval(3, 0)],
      ...[{ ...setting, name: 'ask2', rules: 5 } as Action, { ...setting, reach: 2 } as Action],
    ],
  ],
  [
    'asked for in the very millisecond in which the account was disabled and enabled again: 500092',
    [
      ...[{ ...edit, who: 0, rights: 8, disabled: 0 } as Action, { ...edit, who: 0, rights: 8 } as Action],
      ...[question as Action, { do: 'lock', kind: 'user', who: 0, role: 'p', which: 0 } as Action],
    ],
  ],
  [
    'a grant that waits for its first use is used at the very end of its time',
    [
      ...[setting, { ...question, start: 'first-use' } as Action, approval(5, 0)],
      ...[
        { do: 'clock', by: 23 * HOUR } as Action,
        { do: 'clock', by: HOUR } as Action,
        { do: 'use', which: 0 } as Action,
      ],
    ],
  ],
  [
    'an account is disabled on a clock set back behind the approval of its grant',
    [
      ...[setting, question as Action, approval(5, 0), { do: 'clock', by: -30_000 } as Action],
      { ...edit, who: 0, rights: 8, disabled: 0 },
    ],
  ],
]
