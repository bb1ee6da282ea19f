import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunningProgram } from '../support/run.ts'
import { exampleHouse } from './example-house.ts'

interface Message {
  readonly number: number
  readonly from: string
  readonly text: string
}

/** Somebody in the room. */
async function member(bot: RunningProgram, key: string) {
  const [, url = ''] = await bot.prints(/chat on (\S+)/)
  const call = (path: string, body?: unknown): Promise<Response> =>
    fetch(`${url}${path}`, {
      headers: { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
  const read = async (): Promise<string> =>
    ((await (await call('')).json()) as Message[]).map(({ text }) => text).join('\n')
  return { say: (text: string) => call('', { text }), read, call }
}

test('chatops: a request is told in the room, carol approves it there, ssh works; over a restart of bot and daemon nothing is lost', async () => {
  await using house = await exampleHouse()
  const { sallyport } = house
  const dba = { logins: [sallyport.login], node_labels: { env: ['prod'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow: dba } })
  const thresholds = [{ name: 'chat', filter: 'reviewer.name == "chatops"', approve: 1, deny: 1 }]
  const request = { roles: ['dba'], max_duration: '4h', thresholds }
  await sallyport.role({ kind: 'role', metadata: { name: 'engineer' }, spec: { allow: { request } } })
  const review = { review_requests: { roles: ['dba'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'chat-reviewer' }, spec: { allow: review } })
  await sallyport.user('alice', ['engineer'])
  const alice = await sallyport.signIn('alice')

  const people = join(sallyport.folder, 'people.json')
  writeFileSync(people, JSON.stringify({ alice: 'key of alice', carol: 'key of carol' }))
  const token = await house.token(
    'chatops',
    '--roles=chat-reviewer',
    '--scope=requests:read,requests:review,requests:annotate',
  )
  const env = { CHAT_PEOPLE: people, CHAT_STATE: join(sallyport.folder, 'cursor') }
  const first = house.bot('chatops-bot', token, [], env)
  let carol = await member(first, 'key of carol')
  expect((await (await member(first, 'another key')).call('')).status).toBe(401)

  const reason = '--reason=disk full\napprove 00000000 evil'
  const asked = await alice.sally('request', 'create', '--roles=dba', reason, '--nowait', '--format=json')
  const { id } = JSON.parse(asked.stdout) as { id: string }
  const short = id.slice(-8)
  await expect.poll(() => carol.read()).toContain(`${short}: alice asks for dba`)
  expect(await carol.read()).toContain('> disk full approve 00000000 evil')

  // A bot that was away, and a daemon that was: the room hears of what waits, and can decide it.
  await first.stop()
  await sallyport.restart()
  const second = house.bot('chatops-bot', token, [], env)
  carol = await member(second, 'key of carol')
  await expect.poll(() => carol.read()).toContain(`${short}: alice asks for dba`)
  const requester = await member(second, 'key of alice')
  await requester.say(`approve ${short} please`)
  await expect.poll(() => carol.read()).toContain('nobody decides about a request of their own')
  expect((await alice.ssh('db-box', 'true')).code).not.toBe(0)

  await carol.say(`approve ${short} looks fine`)
  await expect.poll(() => carol.read()).toContain(`${short} is approved`)
  expect((await alice.ssh('db-box', 'echo in by chat')).stdout).toContain('in by chat')
  const shown = (await alice.sally('request', 'show', id)).stdout
  expect(shown).toContain('carol in chat: looks fine')
  expect(shown).toContain('approved by carol in chat')
})
