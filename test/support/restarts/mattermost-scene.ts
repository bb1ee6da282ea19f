import { buttonsOf, chatHouse, textOf } from '../mattermost/chat-house.ts'
import type { Linked } from '../mattermost/chat-house.ts'
import { until } from '../until.ts'
import type { Call, ChatScene, Copy, Voter } from './chat-scene.ts'

const CALLS: Readonly<Record<Call, RegExp>> = {
  new: /^POST \/posts$/,
  change: /^PUT \/posts\//,
  form: /^POST \/actions\/dialogs\/open$/,
}

export async function mattermostScene(): Promise<ChatScene> {
  const house = await chatHouse({
    users: { alice: ['asker'], bob: ['lead'], carol: ['lead'] },
    linked: ['alice', 'bob', 'carol'],
    async roles(sallyport) {
      const role = (name: string, allow: Record<string, unknown>, options = {}): Promise<void> =>
        sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
      const logins = [sallyport.login]
      await role('pair', { logins, node_labels: { service: 'both' } }, { chat_approval: 'allowed' })
      const thresholds = [{ name: 'two', filter: 'true', approve: 2, deny: 1 }]
      await role('asker', { request: { roles: ['pair'], thresholds, max_duration: '4h' } })
      await role('lead', { review_requests: { roles: ['pair'] } })
    },
  })
  const { mattermost, sallyport, channel } = house
  const { posts, channels } = mattermost.house
  const person = (name: Voter | 'alice'): Linked['chat'] => {
    const found = house.people[name]
    if (!found) throw new Error(`there is no ${name}`)
    return found.chat
  }
  const pressable = (voter: Voter) =>
    person(voter)
      .direct()
      .find((post) => buttonsOf(post).includes('Approve'))
  let held = 0
  return {
    sallyport,
    redelivers: false,
    ask: (reason) => person('alice').type(channel.id, `/access request pair for 1h: ${reason}`),
    async press(voter) {
      const post = await until(`something to press for ${voter}`, () => pressable(voter))
      return await person(voter).press(post.id, 'Approve')
    },
    submit: (voter, reason) => person(voter).submit({ reason, duration: '30m' }),
    hasForm: (voter) => person(voter).dialog() !== undefined,
    hold(calls, moment) {
      mattermost.fault = ({ method, path }) => {
        if (!calls.some((call) => CALLS[call].test(`${method} ${path}`))) return null
        held++
        return { silent: true, after: moment === 'after' }
      }
    },
    held: () => held,
    deafen: () => {},
    heal() {
      mattermost.fault = () => null
      held = 0
    },
    connected: () => Promise.resolve(),
    copies: () =>
      [...channels.values()].flatMap(({ id }) => {
        const all = posts.ofChannel(id)
        return all
          .filter((post) => post.root_id === '' && textOf(post).includes('Open the request'))
          .map((post): Copy => ({
            where: id,
            text: textOf(post),
            buttons: buttonsOf(post),
            thread: all.filter(({ root_id }) => root_id === post.id).map(({ message }) => message),
          }))
      }),
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  }
}
