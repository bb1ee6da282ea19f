import { z } from 'zod'
import { badRequest, forbidden, notFound } from './api-error.ts'
import { directChannel, type Channel, type House, type Person } from './house.ts'
import { pressButton, runCommand, submitDialog, type Outgoing } from './press-button.ts'
import { forClients, type Post } from './post-store.ts'
import { CreatePost, DirectChannel, EphemeralPost, OpenDialog, PatchPost, PostsQuery } from './schemas.ts'

// The calls of API v4 that we or people's clients make.

export interface Call {
  readonly house: House
  readonly person: Person
  readonly ids: readonly string[]
  readonly body: unknown
  readonly query: URLSearchParams
  readonly outgoing: Outgoing
}

export interface Answered {
  readonly status: number
  readonly body: unknown
}

const ok = (body: unknown, status = 200): Answered => ({ status, body })

export const ROUTES: readonly {
  readonly call: RegExp
  readonly answer: (call: Call) => Promise<Answered> | Answered
}[] = [
  { call: /^POST \/posts$/, answer: (c) => ok(forClients(createPost(c)), 201) },
  { call: /^GET \/posts\/([a-z0-9]+)$/, answer: (c) => ok(forClients(readablePost(c))) },
  { call: /^PUT \/posts\/([a-z0-9]+)\/patch$/, answer: (c) => ok(forClients(patchPost(c))) },
  { call: /^POST \/posts\/ephemeral$/, answer: (c) => ok(ephemeral(c), 201) },
  { call: /^POST \/posts\/([a-z0-9]+)\/actions\/([A-Za-z0-9]+)$/, answer: async (c) => ok(await press(c)) },
  { call: /^POST \/channels\/direct$/, answer: (c) => ok(shownChannel(direct(c)), 201) },
  { call: /^GET \/channels\/([a-z0-9]+)$/, answer: (c) => ok(shownChannel(member(c))) },
  { call: /^GET \/channels\/([a-z0-9]+)\/stats$/, answer: (c) => ok(stats(member(c))) },
  { call: /^GET \/channels\/([a-z0-9]+)\/posts$/, answer: (c) => ok(postsOf(c)) },
  { call: /^GET \/channels\/([a-z0-9]+)\/members\/([a-z0-9]+)$/, answer: (c) => ok(membership(c)) },
  { call: /^GET \/users\/me$/, answer: (c) => ok(shownPerson(c.person)) },
  { call: /^GET \/users\/([a-z0-9]{26})$/, answer: (c) => ok(shownPerson(personOf(c))) },
  { call: /^GET \/system\/ping$/, answer: () => ok({ status: 'OK' }) },
  { call: /^POST \/actions\/dialogs\/open$/, answer: (c) => ok(openDialog(c)) },
  { call: /^POST \/actions\/dialogs\/submit$/, answer: async (c) => ok(await submitted(c)) },
  { call: /^POST \/commands\/execute$/, answer: async (c) => ok(await typed(c)) },
]

function createPost({ house, person, body }: Call): Post {
  const wanted = parse(CreatePost, body)
  const channel = house.channels.get(wanted.channel_id)
  if (!channel || !channel.members.has(person.id)) throw forbidden()
  if (channel.deleteAt !== 0)
    throw badRequest('api.post.create_post.can_not_post_to_deleted.error', 'Can not post to deleted channel.')
  const root = wanted.root_id === undefined ? undefined : house.posts.get(wanted.root_id)
  if (wanted.root_id !== undefined && root?.channel_id !== channel.id)
    throw badRequest('api.post.create_post.root_id.app_error', 'Invalid RootId parameter.')
  return house.posts.create(person.id, wanted)
}

/** The server has no other word for a post that is gone than for one that may not be changed. */
function patchPost({ house, person, body, ids: [id = ''] }: Call): Post {
  const wanted = parse(PatchPost, body)
  const post = house.posts.get(id)
  if (!post || post.user_id !== person.id) throw forbidden()
  house.posts.patch(post, wanted)
  return post
}

function readablePost({ house, person, ids: [id = ''] }: Call): Post {
  const post = house.posts.get(id)
  if (!post) throw notFound('app.post.get.app_error')
  if (!house.channels.get(post.channel_id)?.members.has(person.id)) throw forbidden()
  return post
}

function ephemeral({ house, person, body }: Call): object {
  const { user_id, post } = parse(EphemeralPost, body)
  if (!person.permissions.has('create_post_ephemeral')) throw forbidden()
  house.ephemeral.push({ userId: user_id, channelId: post.channel_id, text: post.message })
  return { id: house.newId(), message: post.message, channel_id: post.channel_id }
}

const press = ({ house, person, ids: [postId = '', actionId = ''], outgoing }: Call): Promise<object> =>
  pressButton(house, person, { postId, actionId }, outgoing)

function direct({ house, person, body }: Call): Channel {
  const [a, b] = parse(DirectChannel, body)
  if (person.id !== a && person.id !== b) throw forbidden()
  if (!house.people.has(a) || !house.people.has(b))
    throw badRequest('api.channel.create_direct_channel.invalid_user.app_error', 'Invalid user.')
  return directChannel(house, a, b)
}

function member({ house, person, ids: [id = ''] }: Call): Channel {
  const channel = house.channels.get(id)
  if (!channel) throw notFound('app.channel.get.existing.app_error')
  if (!channel.members.has(person.id)) throw forbidden()
  return channel
}

function membership(call: Call): object {
  const channel = member(call)
  const [, userId = ''] = call.ids
  if (!channel.members.has(userId)) throw notFound('app.channel.get_member.missing.app_error')
  return { channel_id: channel.id, user_id: userId }
}

const stats = (channel: Channel): object => ({
  channel_id: channel.id,
  member_count: channel.members.size,
  guest_count: channel.guests.size,
  pinnedpost_count: 0,
  files_count: 0,
})

/** `since` selects by the last change, may not be mixed with pages, and shows what was deleted; pages are newest first. */
function postsOf(call: Call): object {
  const wanted = parse(PostsQuery, Object.fromEntries(call.query))
  const { since, before, per_page: most = 60, page = 0 } = wanted
  if (since !== undefined && Object.keys(wanted).length > 1)
    throw badRequest('api.context.invalid_body_param.app_error', 'since goes with no page')
  const { posts } = call.house
  const channel = member(call).id
  if (since !== undefined) return listed(posts.changedSince(channel, since).slice(0, 1000))
  const all = posts.ofChannel(channel)
  if (before === undefined) return listed(all.slice(page * most, (page + 1) * most))
  const at = all.findIndex(({ id }) => id === before)
  return listed(at < 0 ? [] : all.slice(at + 1, at + 1 + most))
}

const listed = (posts: readonly Post[]): object => ({
  order: posts.map((post) => post.id),
  posts: Object.fromEntries(posts.map((post) => [post.id, forClients(post)])),
  next_post_id: '',
  prev_post_id: '',
})

function personOf({ house, ids: [id = ''] }: Call): Person {
  const person = house.people.get(id)
  if (!person) throw notFound('app.user.missing_account.const')
  return person
}

function openDialog({ house, body }: Call): object {
  const open = parse(OpenDialog, body)
  const checked = house.triggers.check(open.trigger_id, house.now())
  if ('error' in checked) throw badRequest(checked.error, 'Failed to decode the trigger id.')
  house.dialogs.push({ userId: checked.userId, open })
  return { status: 'OK' }
}

const Submission = z.looseObject({ url: z.string(), submission: z.record(z.string(), z.unknown()) })
const submitted = ({ person, body, outgoing }: Call): Promise<object> =>
  submitDialog(person, parse(Submission, body), outgoing)

const Typed = z.looseObject({ channel_id: z.string(), command: z.string() })
function typed({ house, person, body, outgoing }: Call): Promise<object> {
  const { channel_id, command } = parse(Typed, body)
  return runCommand(house, person, { channelId: channel_id, command }, outgoing)
}

const shownPerson = (person: Person): object => ({
  id: person.id,
  username: person.username,
  email: person.email,
  roles: 'system_user',
  delete_at: 0,
  ...(person.isBot ? { is_bot: true } : {}),
})

const shownChannel = (channel: Channel): object => ({
  id: channel.id,
  type: channel.type,
  team_id: channel.teamId,
  name: channel.name,
  display_name: channel.name,
  delete_at: channel.deleteAt,
  shared: channel.shared,
})

function parse<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error } },
  body: unknown,
): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw badRequest('api.context.invalid_body_param.app_error', `Invalid or missing parameter: ${parsed.error.message}`)
}
