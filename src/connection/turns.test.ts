import { expect, test } from 'vitest'
import { Turns, type HeldBack } from './turns.ts'

test('of all connections of a turn everything is stored before anything goes on', async () => {
  const turns = new Turns()
  const seen: string[] = []
  const connection = (name: string, atForward: () => void = () => {}): HeldBack => ({
    store: () => void seen.push(`${name} stored`),
    forward: () => {
      seen.push(`${name} forwarded`)
      atForward()
    },
  })
  turns.hold(connection('a', () => turns.hold(connection('c'))))
  turns.hold(connection('b'))
  expect(seen).toEqual([])
  await expect.poll(() => seen).toHaveLength(6)
  expect(seen).toEqual(['a stored', 'b stored', 'a forwarded', 'b forwarded', 'c stored', 'c forwarded'])
})
