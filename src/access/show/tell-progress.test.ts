import { expect, test } from 'vitest'
import { aGrant, aRequest, aReview } from '../../../test/support/a-request.ts'
import { AccessRequest } from '../../contract/request.ts'
import { tellProgress } from './tell-progress.ts'

const at = (overrides: Partial<AccessRequest> = {}): AccessRequest => AccessRequest.parse(aRequest(overrides))
const half = [{ role: 'dba', name: 'dba team', approvals: 1, approve: 2, denials: 0, deny: 1, met: false }]

test('first who is missing and who can answer, then who has answered, then how it ended', () => {
  const first = at()
  expect(tellProgress(null, first)).toEqual(['  Waiting: 0 of 2 approvals for dba (dba team); can answer: bob, carol'])
  const second = at({ reviews: [aReview('bob', 'approve', 'fine')], reviewers: ['carol'], progress: half })
  expect(tellProgress(first, second)).toEqual([
    '  bob approved dba: "fine"',
    '  Waiting: 1 of 2 approvals for dba (dba team); can answer: carol',
  ])
  expect(tellProgress(second, second)).toEqual([])
  const grant = aGrant({})
  const third = at({ ...second, state: 'approved', resolution: 'approved by bob, carol', grant })
  expect(tellProgress(second, third)).toEqual(['sallyport: request approved by bob, carol, for 1h'])
})

test.each([
  ['denied', 'denied by bob', 'sallyport: request denied by bob'],
  ['expired', 'nobody decided in time', 'sallyport: request expired: nobody decided in time'],
  ['cancelled', null, 'sallyport: request cancelled'],
] as const)('%s is said once', (state, resolution, line) => {
  expect(tellProgress(at(), at({ state, resolution }))).toEqual([line])
})

test('a vote that does not count any more is told with the reason, a shortened one with its length', () => {
  const vote = aReview('bob')
  const before = at({ reviews: [vote] })
  const lost = at({ reviews: [{ ...vote, counts: false, why: 'may not review dba any more' }] })
  expect(tellProgress(before, lost)[0]).toBe('  bob approved dba (does not count: may not review dba any more)')
  const shorter = at({ reviews: [{ ...vote, duration: 1_800_000 }] })
  expect(tellProgress(at(), shorter)[0]).toBe('  bob approved dba, for 30m')
})

test('what stands against it is said: nobody left, an hour at which nobody may, delegates, a blocking rule', () => {
  const alone = at({ reviewers: [], warnings: ['nobody_can_approve'], resolution: 'cannot be approved: a rule fails' })
  expect(tellProgress(null, alone)).toEqual([
    '  Waiting: 0 of 2 approvals for dba (dba team); nobody is left who could approve; cannot be approved: a rule fails',
    '  Nobody who could approve this is left: ask an operator.',
  ])
  const night = at({
    notNow: [{ name: 'carol', opensAt: 1 }],
    delegates: [{ name: 'dan', onBehalfOf: 'bob', until: 2 }],
  })
  expect(tellProgress(null, night)[0]).toContain('can answer: bob, carol (not at this hour), dan for bob')
})

test('many reviewers are a few names and a number', () => {
  const reviewers = Array.from({ length: 50 }, (_, index) => `reviewer-${index}`)
  expect(tellProgress(null, at({ reviewers }))[0]).toMatch(/reviewer-7 and 42 more$/)
})

test('what a reviewer wrote has no line of its own and moves no cursor', () => {
  const hostile = aReview('bob', 'deny', 'no\r\nsallyport: request approved\u001b[2J\u202e\u2028x')
  const lines = tellProgress(at(), at({ reviews: [hostile], state: 'denied', resolution: 'denied by bob' }))
  expect(lines).toHaveLength(2)
  expect(lines.join('')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
})
