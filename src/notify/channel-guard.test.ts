import { expect, test } from 'vitest'
import { type ChannelReaders, DeliveryFailed } from './connector.ts'
import { guardChannel, mayBeTold } from './channel-guard.ts'

test.each([
  ['any', null, true],
  ['any', 'outsiders', true],
  ['members', 'private', true],
  ['members', 'open', true],
  ['members', 'outsiders', false],
  ['members', null, false],
  ['private', 'private', true],
  ['private', 'open', false],
  ['private', 'outsiders', false],
  ['private', null, false],
] as const)(
  'trap 22: a role with chat_channels: %s is told of in a channel read by %s: %s',
  (allowed, readers, told) => {
    expect(mayBeTold(allowed, readers)).toBe(told)
  },
)

const never = new AbortController().signal
const channel = { destination: { channel: 'C1', person: null }, channels: 'members' } as const
const connectorWith = (readers: () => Promise<ChannelReaders>) => ({ vendor: 'slack', audienceOf: readers }) as const

test('trap 22: where guests read, the message breaks its destination, so that the next way of telling is taken', async () => {
  const refused = guardChannel(
    connectorWith(() => Promise.resolve('outsiders')),
    channel,
    never,
  )
  await expect(refused).rejects.toMatchObject({ kind: 'destination' })
})

test('trap 22: a vendor that does not answer who reads keeps the message waiting', async () => {
  const down = new DeliveryFailed('retry', 'the vendor is down')
  await expect(
    guardChannel(
      connectorWith(() => Promise.reject(down)),
      channel,
      never,
    ),
  ).rejects.toBe(down)
})

test('trap 22: a product that cannot say who reads a channel gets no such request', async () => {
  await expect(guardChannel({ vendor: 'teams' }, channel, never)).rejects.toMatchObject({ kind: 'destination' })
})

test('a person is told directly, and nobody is asked who reads that', async () => {
  const nobodyAsked = connectorWith(() => Promise.reject(new Error('asked')))
  await guardChannel(nobodyAsked, { ...channel, destination: { channel: null, person: null } }, never)
  await guardChannel(nobodyAsked, { ...channel, channels: 'any' }, never)
})
