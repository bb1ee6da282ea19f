import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Credit } from './credit.ts'

test('what the receiver grants is passed on except for the reserve', () => {
  const credit = new Credit(100)
  expect(credit.grant(1000)).toBe(900)
  expect(credit.grant(500)).toBe(500)
})

test('of a small grant half is passed on at least', () => {
  const credit = new Credit(100)
  expect([credit.grant(10), credit.grant(1), credit.reserve]).toEqual([5, 1, 5])
})

test('sending more than was passed on is refused', () => {
  const credit = new Credit(0)
  credit.grant(10)
  credit.take(10)
  expect(() => credit.take(1)).toThrow('more data than the window allows')
})

test('the window never grows over 2^32 - 1', () => {
  const credit = new Credit(100)
  credit.grant(2 ** 32 - 1)
  expect(() => credit.grant(1)).toThrow('window larger')
})

test('together sender and proxy never use more than was granted, and nothing is lost', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('grant' as const), amount: fc.nat(5000) }),
    fc.record({ kind: fc.constant('send' as const), amount: fc.nat(5000) }),
    fc.record({ kind: fc.constant('own' as const), amount: fc.nat(300) }),
  )
  fc.assert(
    fc.property(fc.nat(200), fc.array(step, { maxLength: 60 }), (goal, steps) => {
      const credit = new Credit(goal)
      let granted = 0
      let used = 0
      let senderMay = 0
      for (const { kind, amount } of steps) {
        if (kind === 'grant') {
          granted += amount
          senderMay += credit.grant(amount)
        } else if (kind === 'send') {
          const sent = Math.min(amount, senderMay)
          credit.take(sent)
          used += sent
          senderMay += credit.releaseWhenEmpty() - sent
        } else if (credit.takeOwn(amount, false)) used += amount
        expect(used).toBeLessThanOrEqual(granted)
        expect(credit.passed).toBe(senderMay)
        expect(credit.passed + credit.reserve + used).toBe(granted)
      }
      expect(credit.takeOwn(granted - used, true)).toBe(true)
    }),
  )
})
