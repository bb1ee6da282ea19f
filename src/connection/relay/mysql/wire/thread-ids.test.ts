import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOurThreadId, readKill, threadIdFrom } from './thread-ids.ts'

const query = (text: string): Buffer => Buffer.from(`\x03${text}`)

test('ids that are given are known again, and are positive in 32 bits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (random) => {
      const id = threadIdFrom(random)
      expect(isOurThreadId(id)).toBe(true)
      expect(id | 0).toBe(id)
      expect(id).toBeGreaterThan(2 ** 30 - 1)
    }),
  )
  expect(isOurThreadId(12)).toBe(false)
})

test.each([
  ['KILL QUERY 1073741830', 'KILL QUERY 42'],
  ['kill 1073741830', 'kill 42'],
  ['KILL CONNECTION 1073741830;', 'KILL CONNECTION 42;'],
  [' Kill Hard Query 1073741830 ', ' Kill Hard Query 42 '],
])('%s names one of ours', (text, rewritten) => {
  const kill = readKill(query(text))
  expect(kill?.threadId).toBe(1_073_741_830)
  expect(kill?.rewrittenTo(42)).toEqual(query(rewritten))
})

test.each([
  'KILL 12',
  'KILL QUERY 99999999999',
  'select 1073741830',
  'KILL USER app',
  'KILL',
  'KILL 1073741830; drop table x',
  `KILL ${' '.repeat(200)}1073741830`,
])('%s is left to the server', (text) => {
  expect(readKill(query(text))).toBeNull()
})
