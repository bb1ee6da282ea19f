import type { CreatePost, PatchPost } from './schemas.ts'

// Posts as the server keeps them, and as clients see them: the address and context of a button never reach one.

/** A retry within this time is answered with the first post. */
const PENDING_MS = 30_000

export interface Post {
  readonly id: string
  readonly create_at: number
  update_at: number
  edit_at: number
  delete_at: number
  readonly user_id: string
  readonly channel_id: string
  readonly root_id: string
  message: string
  props: Record<string, unknown>
  readonly pending_post_id: string
}

export interface Action {
  readonly id: string
  readonly name: string
  readonly integration: { readonly url: string; readonly context: Record<string, unknown> }
}

export class PostStore {
  readonly #posts = new Map<string, Post>()
  readonly #pending = new Map<string, { readonly post: Post; readonly at: number }>()
  readonly #newId: () => string
  readonly #now: () => number

  constructor(newId: () => string, now: () => number) {
    this.#newId = newId
    this.#now = now
  }

  create(userId: string, wanted: CreatePost): Post {
    const key = `${userId}:${wanted.pending_post_id ?? ''}`
    const before = this.#pending.get(key)
    if (wanted.pending_post_id && before && this.#now() - before.at < PENDING_MS) return before.post
    const at = this.#now()
    const post: Post = {
      id: this.#newId(),
      create_at: at,
      update_at: at,
      edit_at: 0,
      delete_at: 0,
      user_id: userId,
      channel_id: wanted.channel_id,
      root_id: wanted.root_id ?? '',
      message: wanted.message,
      props: { ...wanted.props, from_bot: 'true' },
      pending_post_id: wanted.pending_post_id ?? '',
    }
    this.#posts.set(post.id, post)
    if (wanted.pending_post_id) this.#pending.set(key, { post, at })
    return post
  }

  /** What is absent or null stays as it was, buttons included. */
  patch(post: Post, wanted: PatchPost): void {
    if (wanted.message !== undefined) post.message = wanted.message
    if (wanted.props) post.props = { ...wanted.props }
    post.edit_at = this.#now()
    post.update_at = post.edit_at
  }

  delete(id: string): void {
    const post = this.#posts.get(id)
    if (post) post.delete_at = this.#now()
  }

  get(id: string): Post | undefined {
    const post = this.#posts.get(id)
    return post?.delete_at === 0 ? post : undefined
  }

  /** Newest first, those that were deleted as well. */
  changedSince(channelId: string, since: number): Post[] {
    return [...this.#posts.values()]
      .filter((post) => post.channel_id === channelId && Math.max(post.update_at, post.delete_at) > since)
      .toReversed()
  }

  /** Newest first. */
  ofChannel(channelId: string): Post[] {
    return [...this.#posts.values()]
      .filter((post) => post.channel_id === channelId && post.delete_at === 0)
      .toReversed()
  }
}

type ShownAction = Action & { readonly style?: string; readonly type?: string }

export function actionsOf(post: Post): Action[] {
  const attachments = (post.props['attachments'] ?? []) as readonly { readonly actions?: readonly Action[] }[]
  return attachments.flatMap((attachment) => [...(attachment.actions ?? [])])
}

/** As a client is given it. */
export function forClients(post: Post): Post {
  const attachments = post.props['attachments'] as readonly { readonly actions?: readonly ShownAction[] }[] | undefined
  if (!attachments) return structuredClone(post)
  const shown = attachments.map((attachment) =>
    attachment.actions
      ? { ...attachment, actions: attachment.actions.map(({ id, name, style, type }) => ({ id, name, style, type })) }
      : attachment,
  )
  return structuredClone({ ...post, props: { ...post.props, attachments: shown } })
}
