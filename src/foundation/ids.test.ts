import { expect, test } from 'vitest'
import { isId, newId } from './ids.ts'

// A millisecond of its own: other tests of this process make ids, too, and there are 4096 numbers for each.
const NOW = Date.UTC(2025, 4, 17, 3, 2, 1, 7)

test('ids of one millisecond sort in the order in which they were made', () => {
  const made = Array.from({ length: 2000 }, () => newId('request', NOW))
  expect(made.toSorted()).toEqual(made)
  expect(new Set(made).size).toBe(2000)
})

test('more ids than the counter has room for are still ids, and each is another', () => {
  const made = Array.from({ length: 10_000 }, () => newId('event', NOW + 1))
  expect(new Set(made).size).toBe(10_000)
  expect(made.every((id) => isId('event', id))).toBe(true)
})

test('an id holds its instant, also when the clock goes back', () => {
  for (const now of [NOW + 5, NOW, NOW + 5]) {
    const [, hex = ''] = /^usr_([0-9a-f]{8}-[0-9a-f]{4})/.exec(newId('user', now)) ?? []
    expect(parseInt(hex.replace('-', ''), 16)).toBe(now)
  }
})

test('an id of one kind is none of another, and nothing else is one', () => {
  const id = newId('grant', NOW)
  expect(isId('grant', id)).toBe(true)
  expect(isId('request', id)).toBe(false)
  for (const text of ['', 'grt_', `${id}0`, id.toUpperCase(), id.replace('-7', '-4')])
    expect(isId('grant', text)).toBe(false)
})
