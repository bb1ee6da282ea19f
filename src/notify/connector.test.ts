import { expect, test } from 'vitest'
import { DeliveryFailed } from './connector.ts'

test('a wait is whole milliseconds, which is all that the store takes', () => {
  expect(new DeliveryFailed('retry', 'wait', 1500.25).afterMs).toBe(1501)
  expect(new DeliveryFailed('retry', 'wait', 30_000).afterMs).toBe(30_000)
  expect(new DeliveryFailed('retry', 'wait').afterMs).toBeNull()
})
