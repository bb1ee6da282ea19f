import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { LONGEST_KEPT } from '../../../../formats/statement-record.ts'
import { SentApart } from './sent-apart.ts'

const part = (statement: number, parameter: number, value: string): Buffer => {
  const head = Buffer.alloc(6)
  head.writeUInt32LE(statement)
  head.writeUInt16LE(parameter, 4)
  return Buffer.concat([head, Buffer.from(value)])
}
const texts = (apart: SentApart, statement: number): [number, string][] =>
  [...apart.use(statement)].map(([parameter, { bytes }]) => [parameter, Buffer.from(bytes).toString()])

test('parts of a value are put together, however they are cut and in whatever order they come', () => {
  const apart = new SentApart()
  apart.take(part(1, 0, 'a'), true)
  apart.take(part(2, 0, 'x'), true)
  apart.take(part(1, 1, 'c'), true)
  for (const [at, byte] of part(1, 0, 'bb').entries()) apart.take(Buffer.from([byte]), at === 0)
  expect(texts(apart, 1)).toEqual([
    [0, 'abb'],
    [1, 'c'],
  ])
  expect(texts(apart, 1)).toEqual([])
  expect(texts(apart, 2)).toEqual([[0, 'x']])
})

test('an empty value is one, and what was forgotten is none', () => {
  const apart = new SentApart()
  apart.take(part(1, 0, ''), true)
  apart.take(part(2, 0, 'x'), true)
  apart.take(part(3, 0, 'y'), true)
  expect(texts(apart, 1)).toEqual([[0, '']])
  apart.forget(2)
  expect(texts(apart, 2)).toEqual([])
  apart.forgetAll()
  expect(texts(apart, 3)).toEqual([])
})

test('of a long value the front is kept, and the length and hash of all of it', () => {
  const apart = new SentApart()
  const half = 'h'.repeat(LONGEST_KEPT - 10)
  apart.take(part(1, 0, half), true)
  apart.take(part(1, 0, half), true)
  const value = apart.use(1).get(0)
  expect(value).toMatchObject({
    length: 2 * half.length,
    sha256: createHash('sha256').update(half).update(half).digest('hex'),
  })
  expect(value?.bytes.length).toBe(LONGEST_KEPT)
})

test('who sends more values than are ever used, or many empty parts, is refused; one long value is not', () => {
  const apart = new SentApart()
  for (let round = 0; round < 100; round++) apart.take(part(1, 0, 'x'.repeat(100_000)), true)
  apart.use(1)
  expect(() => {
    for (let parameter = 0; parameter < 65_535; parameter++) apart.take(part(1, parameter, ''), true)
  }).toThrow('too many values')
  apart.forgetAll()
  apart.take(part(1, 0, 'x'), true)
})
