import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

interface Item {
  readonly name: string
  readonly first: boolean
}

function recorded(most: number, during: (turn: number) => void = () => {}): { turns: Turns<Item>; done: string[] } {
  const done: string[] = []
  let running = 0
  const turns = new Turns<Item>(most, async (items) => {
    running += 1
    expect(running).toBe(1)
    during(done.length + 1)
    await new Promise((resolve) => setImmediate(resolve))
    done.push(items.map((item) => item.name).join(''))
    running -= 1
  })
  return { turns, done }
}

const items = (text: string): Item[] =>
  [...text].map((name) => ({ name: name.toLowerCase(), first: name !== name.toLowerCase() }))

test.each([
  ['abc', 8, ['abc']],
  ['abcde', 2, ['ab', 'cd', 'e']],
  ['abCd', 8, ['ab', 'cd']],
  ['Abc', 8, ['abc']],
  ['ABC', 8, ['a', 'b', 'c']],
  ['abcD', 2, ['ab', 'c', 'd']],
])('%s, at most %i together, are done as %j', async (text, most, expected) => {
  const { turns, done } = recorded(most)
  for (const item of items(text)) turns.add(item)
  await turns.idle()
  expect(done).toEqual(expected)
})

test('what comes while a turn is under way is done in the next one, all of it before the queue is idle', async () => {
  const { turns, done } = recorded(8, (turn) => {
    if (turn === 1) for (const item of items('bc')) turns.add(item)
  })
  turns.add({ name: 'a', first: false })
  await turns.idle()
  expect(done).toEqual(['a', 'bc'])
  turns.add({ name: 'd', first: false })
  await turns.idle()
  expect(done).toEqual(['a', 'bc', 'd'])
})

test('a turn does not run in the context of whoever asked', async () => {
  const context = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const turns = new Turns<Item>(8, async () => void seen.push(context.getStore()))
  context.run('somebody', () => turns.add({ name: 'a', first: false }))
  await turns.idle()
  expect(seen).toEqual([undefined])
})
