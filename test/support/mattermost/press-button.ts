import { ApiError, badRequest, forbidden, notFound } from './api-error.ts'
import { callIntegration, type IntegrationAnswer } from './call-integration.ts'
import type { House, Person } from './house.ts'
import { actionsOf } from './post-store.ts'
import { ActionAnswer, CommandAnswer, DialogAnswer, type PatchPost } from './schemas.ts'

// What the server does when somebody presses a button, sends a form or types a command: it calls an integration, signs nothing,
// and takes 200 with JSON for an answer and nothing else.

export interface Outgoing {
  readonly ca: string | undefined
  readonly timeoutMs: number
}

export async function pressButton(
  house: House,
  person: Person,
  pressed: { readonly postId: string; readonly actionId: string },
  outgoing: Outgoing,
): Promise<object> {
  const post = house.posts.get(pressed.postId)
  const channel = post && house.channels.get(post.channel_id)
  if (!post || !channel) throw notFound('app.post.get.app_error')
  if (!channel.members.has(person.id)) throw forbidden()
  const action = actionsOf(post).find((each) => each.id === pressed.actionId)
  if (!action) throw notFound('api.post.do_action.action_id.app_error')
  const triggerId = house.triggers.make(person.id, house.now())
  const body = {
    user_id: person.id,
    user_name: person.username,
    channel_id: channel.id,
    channel_name: channel.name,
    team_id: channel.teamId,
    team_domain: channel.teamId === '' ? '' : 'core',
    post_id: post.id,
    trigger_id: triggerId,
    type: '',
    data_source: '',
    context: action.integration.context,
  }
  const answer = json(ActionAnswer, await post200(action.integration.url, JSON.stringify(body), outgoing))
  if (answer.update) {
    const { message, props } = answer.update
    const change: PatchPost = { ...(message === undefined ? {} : { message }), props: props ?? null }
    // An empty object is a change, null is none: live buttons stay with null.
    house.posts.patch(post, change)
  }
  if (answer.ephemeral_text)
    house.ephemeral.push({ userId: person.id, channelId: channel.id, text: answer.ephemeral_text })
  return { status: 'OK', trigger_id: triggerId }
}

/** Where to, about what and with which state is what the client says; the server adds who. */
export async function submitDialog(
  person: Person,
  wanted: Readonly<Record<string, unknown>>,
  outgoing: Outgoing,
): Promise<object> {
  const { url, ...rest } = wanted
  if (typeof url !== 'string') throw badRequest('api.context.invalid_body_param.app_error', 'url')
  const body = JSON.stringify({ ...rest, type: 'dialog_submission', user_id: person.id })
  const text = await post200(url, body, outgoing)
  return text === '' ? {} : json(DialogAnswer, text)
}

export async function runCommand(
  house: House,
  person: Person,
  typed: { readonly channelId: string; readonly command: string },
  outgoing: Outgoing,
): Promise<object> {
  const channel = house.channels.get(typed.channelId)
  if (!channel || !channel.members.has(person.id)) throw forbidden()
  const [word = '', ...more] = typed.command.split(' ')
  const command = house.commands.find((each) => `/${each.trigger}` === word)
  if (!command) throw notFound('api.command.execute_command.not_found.app_error')
  const triggerId = house.triggers.make(person.id, house.now())
  const body = new URLSearchParams({
    channel_id: channel.id,
    channel_name: channel.name,
    command: word,
    response_url: `http://127.0.0.1:9/hooks/commands/${house.newId()}`,
    team_domain: 'core',
    team_id: command.teamId,
    text: more.join(' '),
    token: command.token,
    trigger_id: triggerId,
    user_id: person.id,
    user_name: person.username,
  })
  const answered = await call(command.url, body.toString(), outgoing, {
    type: 'application/x-www-form-urlencoded',
    headers: { authorization: `Token ${command.token}`, accept: 'application/json' },
  })
  const answer = json(CommandAnswer, answered)
  if (answer.text) house.ephemeral.push({ userId: person.id, channelId: channel.id, text: answer.text })
  return { trigger_id: triggerId }
}

const post200 = (url: string, body: string, outgoing: Outgoing): Promise<string> =>
  call(url, body, outgoing, { type: 'application/json' })

async function call(
  url: string,
  body: string,
  outgoing: Outgoing,
  as: { readonly type: string; readonly headers?: Record<string, string> },
): Promise<string> {
  let answer: IntegrationAnswer
  try {
    answer = await callIntegration(url, body, {
      ...as,
      timeoutMs: outgoing.timeoutMs,
      ...(outgoing.ca === undefined ? {} : { ca: outgoing.ca }),
    })
  } catch (error) {
    throw badRequest('api.post.do_action.action_integration.app_error', String(error))
  }
  if (answer.status !== 200)
    throw badRequest('api.post.do_action.action_integration.app_error', `status=${answer.status}`)
  return answer.body
}

function json<T>(schema: { parse(value: unknown): T }, text: string): T {
  let value: unknown
  try {
    value = JSON.parse(text === '' ? '{}' : text)
  } catch {
    throw badRequest('api.unmarshal_error', 'the answer is no JSON')
  }
  try {
    return schema.parse(value)
  } catch (error) {
    throw new ApiError(500, 'stand_in.answer', `no such answer: ${String(error)}`)
  }
}
