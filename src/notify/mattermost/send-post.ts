import { z } from 'zod'
import type { MessageTask } from '../../contract/message.ts'
import { MattermostId } from '../../contract/vendors/mattermost.ts'
import { DeliveryFailed } from '../connector.ts'
import { asDeliveryFailure, MattermostRefused, type MattermostApi } from './mattermost-api.ts'
import { renderNotice, renderRequest, type MattermostPost, type PostFrame } from './render-post.ts'

export interface Sender {
  readonly api: MattermostApi
  readonly frame: PostFrame
  readonly botUserId: string
}

const Made = z.object({ id: MattermostId })
const External = /^([a-z0-9]{26}):([a-z0-9]{26})$/

/** Names the message from then on. */
export const externalOf = (channel: string, post: string): string => `${channel}:${post}`

/** What `externalOf` gives. */
export async function sendPost(sender: Sender, task: MessageTask, signal: AbortSignal): Promise<string> {
  try {
    const known = External.exec(task.external ?? '')
    const [, channel, post] = known ?? []
    if (channel !== undefined && post !== undefined) return await change(sender, task, { channel, post }, signal)
    return await create(sender, task, signal)
  } catch (error) {
    throw asDeliveryFailure(error)
  }
}

/** The channel of direct messages with somebody; the same one every time. */
export async function directChannel(sender: Sender, account: string, signal: AbortSignal): Promise<string> {
  if (!MattermostId.safeParse(account).success)
    throw new DeliveryFailed('destination', 'the linked account is no id of Mattermost')
  const made = await sender.api.call('POST', '/channels/direct', [sender.botUserId, account], signal)
  return Made.parse(made).id
}

async function create(sender: Sender, task: MessageTask, signal: AbortSignal): Promise<string> {
  const channel = await channelOf(sender, task, signal)
  const post = rendered(sender.frame, task, channel)
  const [, threadChannel, root] = External.exec(task.thread ?? '') ?? []
  const reply = threadChannel === channel && root !== undefined ? { root_id: root } : {}
  const body = { channel_id: channel, ...post, ...reply, pending_post_id: task.onceId }
  try {
    return externalOf(channel, Made.parse(await sender.api.call('POST', '/posts', body, signal)).id)
  } catch (error) {
    // Said beside the thread rather than never: what it hangs on was deleted.
    if (!(error instanceof MattermostRefused) || error.id !== 'api.post.create_post.root_id.app_error') throw error
    const { root_id: _, ...alone } = { root_id: '', ...body }
    return externalOf(channel, Made.parse(await sender.api.call('POST', '/posts', alone, signal)).id)
  }
}

async function change(
  sender: Sender,
  task: MessageTask,
  at: { readonly channel: string; readonly post: string },
  signal: AbortSignal,
): Promise<string> {
  try {
    await sender.api.call('PUT', `/posts/${at.post}/patch`, rendered(sender.frame, task, at.channel), signal)
  } catch (error) {
    throw (await isGone(sender, at.post, error, signal))
      ? new DeliveryFailed('gone', 'the post was deleted, or is too old to be changed')
      : error
  }
  return externalOf(at.channel, at.post)
}

const TOO_OLD = 'api.post.update_post.permissions_time_limit.app_error'

/** A change of a post that is not there is refused as if it were forbidden, so it is asked for. */
async function isGone({ api }: Sender, post: string, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!(error instanceof MattermostRefused)) return false
  if (error.status === 404 || error.id === TOO_OLD) return true
  if (error.status !== 403 && error.status !== 400) return false
  try {
    await api.call('GET', `/posts/${post}`, null, signal)
    return false
  } catch (asked) {
    return asked instanceof MattermostRefused && asked.status === 404
  }
}

function rendered(frame: PostFrame, task: MessageTask, channel: string): MattermostPost {
  return task.content.kind === 'request'
    ? renderRequest(frame, task, task.content, channel)
    : renderNotice(task.content.view, task.onceId)
}

/** Where the message belongs. Errors: DeliveryFailed, MattermostRefused. */
export async function channelOf(sender: Sender, { destination }: MessageTask, signal: AbortSignal): Promise<string> {
  if (destination.channel !== null) {
    if (MattermostId.safeParse(destination.channel).success) return destination.channel
    throw new DeliveryFailed('destination', 'a channel is named by its id of 26 characters, not by its name')
  }
  const account = destination.person?.account ?? null
  if (account === null) throw new DeliveryFailed('destination', 'no account of Mattermost is linked')
  return await directChannel(sender, account, signal)
}
