import { z } from 'zod'
import type { MessageTask } from '../../contract/message.ts'
import { MattermostId } from '../../contract/vendors/mattermost.ts'
import { OutboundRefused } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { asDeliveryFailure } from './mattermost-api.ts'
import { channelOf, externalOf, type Sender } from './send-post.ts'

const Post = z.object({
  id: MattermostId,
  user_id: z.string(),
  create_at: z.number(),
  delete_at: z.number().optional(),
  props: z.record(z.string(), z.unknown()).nullish(),
})
const Page = z.object({ order: z.array(MattermostId), posts: z.record(z.string(), Post) })
type Page = z.infer<typeof Page>

const PAGE = 100
/** A channel in which more was said since then is not searched to its end: a second copy does less harm than none. */
const MOST_PAGES = 30

/**
 * The post that an attempt left of whose answer we know nothing: it is our bot's and bears the message's `onceId`. The server itself
 * drops doubles for half a minute (pending_post_id), and a daemon may be away for longer.
 *
 * Not by `since`, which selects by the last change, so that a reaction to an old post would hide ours behind its limit of 1000.
 */
export async function findPost(
  sender: Sender,
  task: MessageTask,
  since: number,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const channel = await channelOf(sender, task, signal)
    let before = ''
    for (let turn = 0; turn < MOST_PAGES; turn++) {
      const page = await pageOf(sender, channel, before, signal)
      const ours = Object.values(page.posts).find((post) => isOurs(sender, task, post))
      if (ours) return externalOf(channel, ours.id)
      const oldest = page.posts[page.order.at(-1) ?? '']
      if (!oldest || oldest.create_at < since) return null
      before = oldest.id
    }
    throw new DeliveryFailed('defect', `over ${MOST_PAGES * PAGE} posts in the channel since the lost attempt`)
  } catch (error) {
    // Too much for one answer, as it will be next time.
    if (error instanceof OutboundRefused)
      throw new DeliveryFailed('defect', `the channel is not readable: ${error.message}`)
    throw asDeliveryFailure(error)
  }
}

async function pageOf({ api }: Sender, channel: string, before: string, signal: AbortSignal): Promise<Page> {
  const from = before === '' ? '' : `&before=${before}`
  const answer = await api.call('GET', `/channels/${channel}/posts?per_page=${PAGE}${from}`, null, signal)
  const page = Page.safeParse(answer)
  if (page.success) return page.data
  throw new DeliveryFailed('defect', 'the posts of the channel are not readable')
}

const isOurs = ({ botUserId }: Sender, { onceId }: MessageTask, post: z.infer<typeof Post>): boolean =>
  post.user_id === botUserId && (post.delete_at ?? 0) === 0 && post.props?.['sallyport_once'] === onceId
