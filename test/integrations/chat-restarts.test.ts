// A request that two people give in chat, and a daemon that dies at every step of it: between what a product of chat was told and
// what the store knows of it, and between what arrived and what was committed. Whatever it was, at the end there is one decision,
// one vote of each human and one message in each place, which shows the end and has nothing left to press.
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChatScene, Copy } from '../support/restarts/chat-scene.ts'
import { mattermostScene } from '../support/restarts/mattermost-scene.ts'
import { slackScene } from '../support/restarts/slack-scene.ts'
import { until } from '../support/until.ts'

/** A channel, and alice, bob and carol */
const PLACES = 4

describe.each([
  ['Slack over HTTP', () => slackScene('http')],
  ['Slack over a socket', () => slackScene('socket')],
  ['Mattermost', mattermostScene],
] as const)('a daemon that dies at every step of a request in %s', (_name, open) => {
  let scene: ChatScene
  /** What people did, until the product was answered */
  const sent: Promise<unknown>[] = []
  beforeAll(async () => {
    scene = await open()
  })
  afterAll(() => scene?.[Symbol.asyncDispose]())

  const count = (table: string): number => Number(scene.sallyport.rows(`select count(*) as n from ${table}`)[0]?.['n'])
  const die = (): Promise<unknown> => scene.sallyport.kill('SIGKILL')
  async function rise(): Promise<void> {
    await scene.sallyport.restart()
    await scene.connected()
  }
  let isWaiting = false
  function send(work: () => Promise<unknown>): void {
    isWaiting = true
    sent.push(work().finally(() => (isWaiting = false)))
  }
  /** By the product that was not answered; where it gives up, or told the person of a failure, by the person. */
  const again = (work: () => Promise<unknown>): void => {
    if (!scene.redelivers || !isWaiting) send(work)
  }

  /** It arrives, cannot be committed, and the daemon is gone. */
  async function diesBeforeTheCommit(work: () => Promise<unknown>): Promise<void> {
    using _held = writeLock(scene.sallyport.database)
    send(work)
    // This arrives later and is answered: by then the other one is there as well.
    await scene.sallyport.api.listRequests({ query: { scope: 'all' } })
    await die()
  }

  /** It comes again, is committed, and the daemon is gone before anybody heard of it. */
  async function diesBeforeTheAnswer(work: () => Promise<unknown>, isCommitted: () => boolean): Promise<void> {
    scene.deafen()
    scene.hold(['new', 'change'], 'before')
    await rise()
    again(work)
    await until('the commit', isCommitted)
    await die()
    scene.heal()
  }

  /** The product has taken what it was told, and the daemon is gone before it knows. */
  async function diesBeforeItKnows(calls: number): Promise<void> {
    await until('what is told to be taken', () => scene.held() >= calls)
    await die()
    scene.heal()
    await rise()
  }

  async function oneCopyInEachPlace(): Promise<readonly Copy[]> {
    const due = "select id from messages where state = 'due' and due_at < ?"
    await until('all to be told', () => scene.sallyport.rows(due, Date.now() + 120_000).length === 0)
    const copies = scene.copies()
    expect(new Set(copies.map(({ where }) => where)).size).toBe(PLACES)
    expect(copies).toHaveLength(PLACES)
    return copies
  }

  test('a command that comes again, because it was not committed or not answered, makes one request', async () => {
    const ask = (): Promise<unknown> => scene.ask('ticket 9')
    await diesBeforeTheCommit(ask)
    expect(count('access_requests')).toBe(0)
    await diesBeforeTheAnswer(ask, () => count('access_requests') === 1)
    scene.hold(['new'], 'after')
    await rise()
    again(ask)
    await until('the messages', () => scene.held() >= PLACES)
    expect(count('access_requests')).toBe(1)
  })

  test('a message that the product has taken, of which the store knows nothing, is there once and not again', async () => {
    await diesBeforeItKnows(PLACES)
    for (const { text, buttons } of await oneCopyInEachPlace()) {
      expect(text).toContain('ticket 9')
      expect(buttons.length).toBeGreaterThan(0)
    }
  })

  test('a form that opened is good after the end of the daemon that opened it', async () => {
    scene.hold(['form'], 'after')
    send(() => scene.press('bob'))
    await diesBeforeItKnows(1)
    expect(scene.hasForm('bob')).toBe(true)
    expect(count('reviews')).toBe(0)
  })

  test('a vote that comes again, because it was not committed or not answered, is one vote, which every copy shows', async () => {
    const vote = (): Promise<unknown> => scene.submit('bob', 'fine by bob')
    await diesBeforeTheCommit(vote)
    expect(count('reviews')).toBe(0)
    await diesBeforeTheAnswer(vote, () => count('reviews') === 1)
    await rise()
    again(vote)
    await Promise.all(sent)
    for (const { text } of await oneCopyInEachPlace()) expect(text).toContain('fine by bob')
    expect(count('reviews')).toBe(1)
  })

  test('a decision that the product was told in part is shown by every copy once it is told again', async () => {
    send(() => scene.press('carol'))
    await until('her form', () => scene.hasForm('carol'))
    scene.hold(['change', 'new'], 'after')
    send(() => scene.submit('carol', 'fine by carol'))
    await until('the decision', () => count('grants') === 1)
    await diesBeforeItKnows(PLACES)
    await Promise.all(sent)
    for (const { text, buttons } of await oneCopyInEachPlace()) {
      expect(text).toContain('fine by carol')
      expect(text).toContain('Approved')
      expect(buttons).not.toContain('Approve')
      expect(buttons).not.toContain('Deny')
    }
  })

  test('of all this there is one decision, one vote of each human, one grant, and no line of a thread twice', async () => {
    const [only, ...others] = (await scene.sallyport.api.listRequests({ query: { scope: 'all' } })).items
    expect(others).toEqual([])
    expect(only).toMatchObject({ state: 'approved', grantedDuration: 1_800_000 })
    const reviews = scene.sallyport.rows('select reviewer_id from reviews')
    expect(new Set(reviews.map((row) => row['reviewer_id'])).size).toBe(2)
    expect(reviews).toHaveLength(2)
    expect(count('grants')).toBe(1)
    for (const type of ['access_request.create', 'access_request.approve'])
      expect(await scene.sallyport.events({ type })).toHaveLength(1)
    expect(await scene.sallyport.events({ type: 'access_request.review' })).toHaveLength(2)
    for (const { thread } of scene.copies())
      for (const voter of ['bob', 'carol'])
        expect(thread.filter((line) => line.includes(`${voter} approved`)).length).toBeLessThanOrEqual(1)
  })
})

/** Nothing is committed while it is held; reading goes on. */
function writeLock(file: string): Disposable {
  const store = new DatabaseSync(file, { timeout: 20_000 })
  store.exec('BEGIN IMMEDIATE')
  return {
    [Symbol.dispose]() {
      store.exec('ROLLBACK')
      store.close()
    },
  }
}
