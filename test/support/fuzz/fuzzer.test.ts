import { expect, test } from 'vitest'
import { fuzz } from './fuzzer.ts'

test('the same seed tries the same inputs', () => {
  const tried = (seed: number): string => {
    const inputs: string[] = []
    const target = {
      name: 'any',
      seeds: [Buffer.from('something')],
      check: (input: Buffer) => void inputs.push(input.toString('hex')),
    }
    fuzz(target, { seed, corpus: [], coverage: null, goOn: (runs) => runs < 200 })
    return inputs.join()
  }
  expect(tried(7)).toBe(tried(7))
  expect(tried(7)).not.toBe(tried(8))
})
