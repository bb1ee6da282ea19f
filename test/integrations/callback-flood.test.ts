// Many callbacks from the one address that a vendor sends from: what is genuine gets through, and what is forged is told to stop.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHANNEL, SlackHouse } from '../support/slack/slack-house.ts'

let house: SlackHouse
beforeAll(async () => {
  house = await SlackHouse.open('http')
})
afterAll(() => house?.[Symbol.asyncDispose]())

const AT_ONCE = 20

/** As many at once as wait for the connections of the stand-in. */
async function each<T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> {
  const found: T[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) found[at] = await work(at)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return found
}

const typed = (at: number) => house.slack.command(`U0CROWD${at % 60}`, CHANNEL, 'link')

async function forged(): Promise<number> {
  const payload = { type: 'block_actions', made: 'up' }
  const { headers, body } = house.slack.signed('interactions', payload, { secret: 'f'.repeat(32) })
  return (await house.slack.deliver('interactions', headers, body)).status
}

test('three hundred people’s callbacks within a minute from one address are all answered', async () => {
  for (let at = 0; at < 60; at += 1) house.slack.workspace.addUser(`U0CROWD${at}`, `crowd-${at}`)
  const answers = await each(300, typed)
  expect(answers.filter(({ status, body }) => status !== 200 || !body.includes('/link/'))).toEqual([])
})

test('of forged ones a hundred are looked at in a minute, and more are answered 429', async () => {
  const statuses = await each(130, forged)
  expect(new Set(statuses)).toEqual(new Set([401, 429]))
  expect(statuses.filter((status) => status === 401)).toHaveLength(100)
})

test('while they are, genuine ones from the very same address have their effect', async () => {
  const [told] = await Promise.all([each(40, () => house.slack.command('U0CAROL', CHANNEL, 'help')), each(40, forged)])
  expect(told.map(({ status }) => status)).toEqual(told.map(() => 200))
  expect(told.filter(({ body }) => body.includes('/access request')).length).toBeGreaterThanOrEqual(29)
})

test('names of integrations are tried out as seldom as keys', async () => {
  const post = house.slack.deliver
  const statuses = await each(105, async (at) => {
    const answer = await post(
      `../nobody-${at % 7}/interactions`,
      { 'content-type': 'application/json' },
      Buffer.from('{}'),
    )
    return answer.status
  })
  expect(statuses.filter((status) => status === 404)).toHaveLength(100)
  expect(statuses.filter((status) => status === 429)).toHaveLength(5)
})
