import { describe, expect, test } from 'vitest'
import { isTextOf, moveOf, type History } from './jira-moves.ts'

const statuses = { pending: '10', approved: '20', denied: '30', closed: '40' }
const by = (accountId: string, more: object = {}) => ({
  author: { accountId, accountType: 'atlassian', displayName: accountId, ...more },
})
const move = (id: number, who: string, from: string, to: string, more: object = {}): History => ({
  id: String(id),
  ...by(who, more),
  items: [{ field: 'status', from, to }],
})

test('the first move out of waiting is judged, not what somebody did with the issue afterwards', () => {
  const told = [move(3, 'carol', '20', '30'), move(1, 'bob', '10', '20'), move(2, 'dora', '20', '10')]
  expect(moveOf(told.slice(0, 2), statuses, null)).toMatchObject({
    id: '1',
    decision: 'approve',
    author: { id: 'bob' },
  })
})

test('after the issue came back to wait, the next move out of it is', () => {
  const told = [move(1, 'bob', '10', '20'), move(2, 'bot', '20', '10'), move(3, 'carol', '10', '30')]
  expect(moveOf(told, statuses, null)).toMatchObject({ id: '3', decision: 'deny', author: { id: 'carol' } })
  expect(moveOf(told.slice(0, 2), statuses, null)).toBeNull()
})

test('the change that a webhook names counts if it is such a move, and else what the log says', () => {
  const told = [move(9, 'bob', '10', '20'), move(10, 'carol', '20', '30')]
  expect(moveOf(told, statuses, '9')).toMatchObject({ id: '9' })
  expect(moveOf(told, statuses, '10')).toMatchObject({ id: '9', author: { id: 'bob' } })
  expect(moveOf(told, statuses, '11')).toMatchObject({ id: '9' })
})

test('moves by way of another status, other fields, and no moves are none', () => {
  expect(moveOf([move(1, 'bob', '10', '50'), move(2, 'bob', '50', '20')], statuses, null)).toBeNull()
  const other: History = { id: '1', ...by('bob'), items: [{ field: 'summary', from: '10', to: '20' }] }
  expect(moveOf([other], statuses, '1')).toBeNull()
  expect(moveOf([], statuses, null)).toBeNull()
})

test('apps, customers, closed accounts and authors that are not named are no persons', () => {
  const authorOf = (more: object) => moveOf([move(1, 'x', '10', '20', more)], statuses, null)?.author
  expect(authorOf({ accountType: 'app' })?.isPerson).toBe(false)
  expect(authorOf({ accountType: 'customer' })?.isPerson).toBe(false)
  expect(authorOf({ active: false })?.isPerson).toBe(false)
  expect(authorOf({})?.isPerson).toBe(true)
  const nobody: History = { id: '1', author: null, items: [{ field: 'status', from: '10', to: '20' }] }
  expect(moveOf([nobody], statuses, null)?.author).toBeNull()
  const server: History = { ...nobody, author: { key: 'JIRAUSER1', displayName: 'Bob' } }
  expect(moveOf([server], statuses, null)?.author).toEqual({ id: 'JIRAUSER1', name: 'Bob', isPerson: true })
})

describe('a move counts for what we wrote into the issue and nobody changed', () => {
  const edit = (id: number, who: string, field = 'description'): History => ({
    id: String(id),
    ...by(who),
    items: [{ field, from: null, to: null }],
  })
  const moved = { id: '10' }
  test.each([
    ['nobody wrote since it was made', true, []],
    ['we did', true, [edit(3, 'bot'), edit(9, 'bot', 'summary')]],
    ['somebody else did', false, [edit(3, 'alice')]],
    ['somebody else did, and we after them', true, [edit(3, 'alice'), edit(4, 'bot')]],
    ['we repaired one text of two', false, [edit(3, 'alice', 'summary'), edit(4, 'bot')]],
    ['somebody else did after the move', true, [edit(11, 'alice')]],
    ['the log is not in order', false, [edit(9, 'alice'), edit(3, 'bot')]],
    ['nobody knows who did', false, [{ ...edit(3, 'x'), author: null }]],
    ['they changed what decides nothing', true, [edit(3, 'alice', 'labels')]],
  ])('%s: %s', (_when, expected, histories) => {
    expect(isTextOf('bot', histories, moved)).toBe(expected)
  })
  test('without knowing who we are, no edit is ours', () => {
    expect(isTextOf(undefined, [edit(3, 'bot')], moved)).toBe(false)
  })
})

test('when it was made is what Jira says', () => {
  const at = (created?: string) =>
    moveOf([{ ...move(1, 'bob', '10', '20'), ...(created === undefined ? {} : { created }) }], statuses, null)?.at
  expect(at('2026-11-23T00:00:00.500+0100')).toBe(Date.UTC(2026, 10, 22, 23, 0, 0, 500))
  expect([at('yesterday'), at()]).toEqual([undefined, undefined])
})
