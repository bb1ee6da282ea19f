import type { MessageTask } from '../contract/message.ts'
import type { ChatChannels } from '../contract/role.ts'
import { type ChannelReaders, type Connector, DeliveryFailed } from './connector.ts'

/** Pure. `null`: the vendor cannot say who reads there. */
export function mayBeTold(allowed: ChatChannels, readers: ChannelReaders | null): boolean {
  if (allowed === 'any') return true
  return readers === 'private' || (readers === 'open' && allowed === 'members')
}

/**
 * Before every message to a channel, later ones of the same request too: a channel that was closed yesterday may be shared today.
 * Throws DeliveryFailed. Persons are no channels.
 */
export async function guardChannel(
  connector: Pick<Connector, 'vendor' | 'audienceOf'>,
  { destination, channels }: Pick<MessageTask, 'destination' | 'channels'>,
  signal: AbortSignal,
): Promise<void> {
  const { channel } = destination
  if (channel === null || channels === 'any') return
  // An error is passed on: until it is known who reads there, nothing goes there.
  const readers = (await connector.audienceOf?.(channel, signal)) ?? null
  if (mayBeTold(channels, readers)) return
  throw new DeliveryFailed(
    'destination',
    `${WHO[readers ?? 'unknown']}: a role of this request has chat_channels: ${channels}`,
  )
}

const WHO = {
  private: 'who reads this channel is known',
  open: 'every member may read this channel',
  outsiders: 'guests or other organisations read this channel',
  unknown: 'it is not known who reads this channel',
} as const
