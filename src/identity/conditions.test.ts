import { describe, expect, test } from 'vitest'
import { conditionProblem, evaluateCondition, type ConditionFacts } from './conditions.ts'

const facts: ConditionFacts = {
  reviewer: { name: 'bob', roles: ['lead', 'dev'], traits: { team: ['dba', 'web'], 'on-call': ['yes'] } },
  request: {
    kind: 'role',
    start: 'approval',
    user: 'alice',
    roles: ['dba'],
    resources: [],
    reason: 'ticket #1234',
    durationMs: 5_400_000,
    annotations: { service: ['P1'] },
    createdAt: Date.UTC(2026, 0, 5, 9, 30),
  },
  review: { reason: 'ok', state: 'approve' },
}
const value = (text: string): unknown => {
  const result = evaluateCondition('filter', text, facts)
  return result.ok ? result.value : result.problem
}

describe('conditions', () => {
  test.each([
    ['"dba" in reviewer.traits.team', true],
    ['"ops" in reviewer.traits.team', false],
    ['"yes" in reviewer.traits["on-call"]', true],
    ['"lead" in reviewer.roles && reviewer.name != request.user', true],
    ['request.duration <= duration("2h")', true],
    ['request.duration < duration("90m")', false],
    ['request.duration == duration("1h30m")', true],
    ['request.reason.matches("#[0-9]+$")', true],
    ['request.created.getDayOfWeek() == 1 && request.created.getHours("Europe/Berlin") == 10', true],
    ['reviewer.traits.team.exists(t, t.matches("^d.a$"))', true],
    ['review.state == "approve" && review.reason != ""', true],
    ['"P1" in request.annotations.service', true],
    ['request.roles.all(r, r.startsWith("d"))', true],
  ])('%s is %s', (text, expected) => {
    expect(conditionProblem('filter', text)).toBeNull()
    expect(value(text)).toBe(expected)
  })

  test('an absent trait or annotation is an empty list, however it is spelt', () => {
    expect(value('"x" in reviewer.traits.nothing')).toBe(false)
    expect(value('size(reviewer.traits["nothing"]) == 0 && size(request.annotations.none) == 0')).toBe(true)
    expect(value('"x" in reviewer.traits.constructor || "x" in reviewer.traits.__proto__')).toBe(false)
  })

  test.each([
    'reviewer.nmae == "bob"',
    'request.role == "x"',
    'nobody.name == "x"',
    '1 + 1',
    'reviewer.name',
    'reviewer.name == 3',
    'dyn(reviewer).anything == 1',
    'has(reviewer.traits.team)',
    '"team" in reviewer.traits',
    'reviewer.traits.all(t, t != "")',
    'request.reason.split("").exists(c, c == "x")',
    'cel.bind(x, request.reason + request.reason, x != "")',
    'request.reason.matches(request.user)',
    'request.reason.matches("(?=a)")',
    'request.reason.matchesRe2("a")',
    '[1].exists(a, [1].exists(b, [1].exists(c, a == c && b == c)))',
    'reviewer.name.foo("x")',
    `reviewer.name in [${'"a",'.repeat(250)}"b"]`,
    'true && (',
    '',
  ])('%j is refused when it is written', (text) => {
    expect(conditionProblem('filter', text)).toEqual(expect.any(String))
    expect(evaluateCondition('filter', text, facts)).toMatchObject({ ok: false })
  })

  test('a where condition cannot ask about a review that does not exist yet', () => {
    expect(conditionProblem('where', 'review.state == "approve"')).toEqual(expect.any(String))
    expect(conditionProblem('where', '"dba" in reviewer.traits.team')).toBeNull()
  })

  test('a failing evaluation is reported and never throws', () => {
    expect(evaluateCondition('filter', '1 / size(reviewer.traits.nothing) == 1', facts)).toMatchObject({ ok: false })
    expect(evaluateCondition('filter', 'timestamp(request.reason) < request.created', facts)).toMatchObject({
      ok: false,
    })
  })

  test('a pattern that would freeze a backtracking engine answers', () => {
    const slow = { ...facts, request: { ...facts.request, reason: `${'a'.repeat(4000)}!` } }
    expect(evaluateCondition('filter', 'request.reason.matches("^(a+)+$")', slow)).toEqual({ ok: true, value: false })
    const nested = { ...facts, reviewer: { ...facts.reviewer, traits: { x: ['a'] } } }
    expect(evaluateCondition('filter', 'reviewer.traits.x.exists(t, t.matches("^(a+)+$"))', nested)).toEqual({
      ok: true,
      value: true,
    })
  })
})
