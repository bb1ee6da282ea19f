import { expect, test } from 'vitest'
import { Refused } from '../../foundation/errors.ts'
import { AlreadyHere } from './arrival.ts'
import { FieldRefused, toOutcome } from './to-outcome.ts'

test.each([
  ['widens_request', 'duration'],
  ['role_unknown', 'roles'],
  ['store_unavailable', 'reason'],
] as const)('a form refused with %s stays open, with the words at the field %s', async (code, field) => {
  const outcome = await toOutcome(Promise.reject(new Refused(code, 'it cannot be', 'try again in a moment')))
  expect(outcome).toEqual({ kind: 'refused', text: 'it cannot be (try again in a moment).', field })
})

test('what no field can mend is told without one, and what is here already has no words', async () => {
  const refused = await toOutcome(Promise.reject(new Refused('own_request', 'nobody reviews a request of their own')))
  expect(refused).toEqual({ kind: 'refused', text: 'nobody reviews a request of their own.' })
  expect(await toOutcome(Promise.reject(new AlreadyHere()))).toEqual({ kind: 'ignored', why: 'repeated' })
  expect(await toOutcome(Promise.reject(new FieldRefused('start', 'no time')))).toMatchObject({ field: 'start' })
})

test('an error of ours is none of the person’s', async () => {
  await expect(toOutcome(Promise.reject(new TypeError('x')))).rejects.toThrow(TypeError)
})
