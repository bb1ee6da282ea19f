import { describe, expect, test } from 'vitest'
import { aRequestView } from '../../../test/support/a-request-view.ts'
import { plainOf } from './paper.ts'
import { issueOf } from './render-issue.ts'

describe.each(['cloud', 'datacenter'] as const)('an issue in Jira %s', (product) => {
  test('says who asks for what, why, what it takes, and how to answer from there', () => {
    const { summary, paper, cut } = issueOf(aRequestView(), product, true)
    const said = plainOf(paper)
    expect(summary).toBe('alice asks for dba (req_1)')
    for (const part of [
      'Waiting: 2 approvals of "dba team"',
      'Reason: ticket #1234',
      'An approval gives: 3 nodes more',
    ])
      expect(said).toContain(part)
    expect(said).toContain('How to answer: A reviewer moves this issue')
    expect(cut).toBe(false)
  })

  test('of what is decided by link alone, or that it could not show whole, says that moves do nothing', () => {
    expect(plainOf(issueOf(aRequestView(), product, false).paper)).toContain('It is not decided from here')
    const long = issueOf(aRequestView({ gives: ['x'.repeat(40_000)] }), product, true)
    expect(long.cut).toBe(true)
    expect(plainOf(long.paper)).toContain('moving the issue does nothing')
  })

  test('of what is decided asks for nothing', () => {
    const { paper } = issueOf(aRequestView({ state: 'approved', needed: [] }), product, true)
    expect(plainOf(paper)).not.toContain('How to answer')
  })
})
