// Slack has taken a message and the daemon dies before it hears of it.
import { expect, test } from 'vitest'
import { CHANNEL, SlackHouse } from '../support/slack/slack-house.ts'
import { until } from '../support/until.ts'

test('trap 24: killed between Slack’s yes and its answer, the daemon finds its message again: there is one, and its buttons work', async () => {
  await using house = await SlackHouse.open('http')
  const { slack, sallyport } = house
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  slack.beforeAnswer = (method) => (method === 'chat.postMessage' ? held : Promise.resolve())
  const id = await house.ask('ops', 'the disk of web-1 is full')
  // In the channel, to alice who asks, and to carol who decides.
  const places = ['channel', 'alice', 'carol'] as const
  for (const place of places) await house.shown(place, 'the disk of web-1 is full')
  await sallyport.kill('SIGKILL')
  release()
  slack.beforeAnswer = () => Promise.resolve()
  await sallyport.restart()
  const unsettled = "select count(*) as n from messages where state = 'due' or external is null"
  await until('all messages to be known', () => sallyport.rows(unsettled)[0]?.['n'] === 0)
  const shown = slack.workspace.messages.filter((message) => JSON.stringify(message.blocks).includes('web-1 is full'))
  expect(shown.map(({ channel }) => channel).toSorted()).toEqual([CHANNEL, 'D0ALICE', 'D0CAROL'].toSorted())

  await house.pressForDialog('carol', await house.shown('channel', 'the disk of web-1 is full'), 'Approve')
  await slack.submit('U0CAROL', { reason: 'clean it up' })
  await until('the decision in every copy', () =>
    places.every((place) =>
      house
        .labels(house.message(place, 'web-1 is full'))
        .every((label) => label !== 'Approve' && label !== 'Cancel request'),
    ),
  )
  const { stdout } = await house.accounts.alice.sally('request', 'show', id)
  expect(stdout).toContain('approved')
  expect(
    slack.workspace.messages.filter((message) => JSON.stringify(message.blocks).includes('web-1 is full')),
  ).toHaveLength(3)
  // The vote is a line in the channel's thread, once.
  const inChannel = shown.find(({ channel }) => channel === CHANNEL)
  if (!inChannel) throw new Error('no message in the channel')
  await until('the lines', () => slack.workspace.threadOf(inChannel).length >= 2)
  const lines = slack.workspace.threadOf(inChannel).map(({ text }) => text)
  expect(new Set(lines).size).toBe(lines.length)
})
