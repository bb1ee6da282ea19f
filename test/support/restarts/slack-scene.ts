import { buttonsOf, shownText } from '../slack/fake-workspace.ts'
import { CHANNEL, SLACK_IDS, SlackHouse } from '../slack/slack-house.ts'
import type { Call, ChatScene, Copy, Voter } from './chat-scene.ts'

const METHODS: Readonly<Record<Call, string>> = {
  new: 'chat.postMessage',
  change: 'chat.update',
  form: 'views.open',
}

export async function slackScene(mode: 'http' | 'socket'): Promise<ChatScene> {
  const house = await SlackHouse.open(mode)
  const { slack, sallyport } = house
  const forms = new Map<Voter, Record<string, unknown>>()
  const done = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)
  return {
    sallyport,
    redelivers: mode === 'socket',
    ask: (reason) => done(slack.command(SLACK_IDS.alice, CHANNEL, `request pair for 1h: ${reason}`)),
    press: (voter) => done(house.shown(voter, 'Approve').then((message) => house.press(voter, message, 'Approve'))),
    submit(voter, reason) {
      const view = slack.workspace.viewOf(SLACK_IDS[voter])
      const sent = forms.get(voter) ?? slack.submission(SLACK_IDS[voter], view?.id ?? '', { reason, duration: '30m' })
      forms.set(voter, sent)
      return done(slack.send('interactions', sent))
    },
    hasForm: (voter) => slack.workspace.viewOf(SLACK_IDS[voter]) !== undefined,
    hold(calls, moment) {
      const methods = new Set(calls.map((call) => METHODS[call]))
      slack.silence = (method) => (methods.has(method) ? moment : null)
    },
    held: () => slack.silenced,
    deafen: () => void (slack.sockets.deaf = true),
    heal() {
      slack.silence = () => null
      slack.silenced = 0
      slack.sockets.deaf = false
    },
    connected: () => house.listening(),
    copies: () =>
      slack.workspace.messages
        .filter(({ thread, blocks }) => thread === null && shownText(blocks).includes('Request req_'))
        .map((message): Copy => ({
          where: message.channel,
          text: shownText(message.blocks),
          buttons: buttonsOf(message.blocks).map(({ label }) => label),
          thread: slack.workspace.threadOf(message).map(({ blocks }) => shownText(blocks)),
        })),
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  }
}
