import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { RequestChange } from '../../src/contract/request-change.ts'
import { AccessWorld, callerNamed, HOUR } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { STORES, useStores } from '../support/stores.ts'

describe.each(STORES)('the feed of changes on %s', (kind) => {
  const stores = useStores(kind)
  let world: AccessWorld

  afterEach(async () => {
    await world.sweeper.stop()
    await world.deeds.close()
  })

  async function house(): Promise<void> {
    const clock = new ManualClock()
    world = await AccessWorld.open(clock, await stores.open(clock))
    for (const role of ['prod', 'spare']) await world.role(role)
    const thresholds = [{ name: 'two', approve: 2, deny: 2 }]
    await world.role('dev', { allow: { request: { roles: ['prod', 'spare'], max_duration: '4h', thresholds } } })
    await world.role('lead', { allow: { review_requests: { roles: ['prod'] } } })
    for (const name of ['alice', 'ann']) await world.user(name, { roles: ['dev'] })
    for (const name of ['bob', 'carol']) await world.user(name, { roles: ['lead'] })
    await world.user('bot', { roles: ['lead'], owner: 'bob' })
  }

  const done = AbortSignal.abort()
  const admitted = (): Promise<void> => Promise.resolve()
  const page = (cursor?: string, limit = 50, signal: AbortSignal = done, still = admitted) =>
    world.requests.changes(callerNamed('bot'), { cursor, limit }, signal, still)

  /** Everything from the cursor to the end, `limit` at a time. */
  async function rest(from: string, limit: number): Promise<RequestChange[]> {
    const items: RequestChange[] = []
    for (let cursor = from; ;) {
      const next = await page(cursor, limit)
      items.push(...next.items)
      if (!next.more) return items
      cursor = next.cursor
    }
  }

  it('gives each change once and in order, however it is cut into pages, and nothing of what may not be known', async () => {
    await house()
    const { cursor } = await page()
    const one = await world.ask('alice', ['prod'])
    const hidden = await world.ask('ann', ['spare'])
    const two = await world.ask('ann', ['prod'])
    await world.requests.annotate(callerNamed('bot'), one.id, { key: 'note', text: 'seen' })
    await world.approve('bob', one.id)
    await world.approve('carol', one.id)
    await world.requests.cancel(callerNamed('ann'), two.id)
    await world.requests.revoke(callerNamed('bob'), one.id, 'enough')
    const told = (await rest(cursor, 100)).map(({ type, request }) => [request.id === one.id ? 1 : 2, type])
    expect(told).toEqual([
      [1, 'access_request.create'],
      [2, 'access_request.create'],
      [1, 'access_request.annotate'],
      [1, 'access_request.review'],
      ...told.slice(4, -2),
      [2, 'access_request.cancel'],
      [1, 'grant.revoke'],
    ])
    const all = await rest(cursor, 100)
    expect(all.some(({ request }) => request.id === hidden.id)).toBe(false)
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    for (const limit of [1, 2, 3, 5])
      expect((await rest(cursor, limit)).map(({ id }) => id)).toEqual(all.map(({ id }) => id))
  })

  it('resumes at any of its cursors with exactly what is behind it', async () => {
    await house()
    const { cursor } = await page()
    const cursors = [cursor]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('ask', 'note', 'role', 'page'), async (step) => {
        if (step === 'page') cursors.push((await page(cursors.at(-1), 1)).cursor)
        if (step === 'role') await world.role('spare', { allow: { logins: [`l${cursors.length}`] } })
        if (step === 'ask') await world.requests.cancel(callerNamed('alice'), (await world.ask('alice', ['prod'])).id)
        world.clock.advance(HOUR)
      }),
      { numRuns: 25 },
    )
    const all = (await rest(cursor, 100)).map(({ id }) => id)
    expect(all.length).toBeGreaterThan(0)
    for (const from of cursors) {
      const behind = (await rest(from, 2)).map(({ id }) => id)
      expect(behind).toEqual(all.slice(all.length - behind.length))
    }
  })

  it('a call that waits is answered by the next change, and ends when its caller is admitted no more', async () => {
    await house()
    const { cursor } = await page()
    const waiting = page(cursor, 50, new AbortController().signal)
    const { id } = await world.ask('alice', ['prod'])
    expect((await waiting).items.map(({ request }) => request.id)).toEqual([id])

    let isIn = true
    const still = async (): Promise<void> => {
      if (!isIn) throw new Error('no more')
    }
    const ended = page((await waiting).cursor, 50, new AbortController().signal, still).catch((error: unknown) => error)
    isIn = false
    await world.lock('user', 'usr_bot')
    expect(await ended).toMatchObject({ message: 'no more' })
  })

  it('refuses cursors of other stores, of a place that is not there, too old ones and what is none', async () => {
    await house()
    const { cursor } = await page()
    const [, seq = '', position = '', mark = ''] = cursor.split('_')
    const flipped = `${mark.startsWith('0') ? '1' : '0'}${mark.slice(1)}`
    for (const foreign of [
      `c1_${seq}_${position}_${flipped}`,
      `c1_zzzzz_${position}_${mark}`,
      `c1_${seq}_${position}_`,
    ])
      await expect(page(foreign)).rejects.toMatchObject({ code: 'cursor_gone' })
    for (const none of [
      '',
      'x',
      'c1_1_1',
      `c2_${seq}_${position}_${mark}`,
      `c1_-1_0_${mark}`,
      `${cursor} `,
      'c1_zzzzzzzzzzzz_0_ab',
    ])
      await expect(page(none)).rejects.toMatchObject({ code: 'malformed' })
    world.clock.advance(30 * 24 * HOUR)
    await expect(page(cursor)).resolves.toMatchObject({ items: [] })
    world.clock.advance(1)
    await expect(page(cursor)).rejects.toMatchObject({ code: 'cursor_gone' })
  })

  it('notes are limited, replaced by their key, taken away by empty text, and change no digest and no vote', async () => {
    await house()
    const bot = callerNamed('bot')
    const asked = await world.ask('alice', ['prod'])
    await world.approve('carol', asked.id)
    for (const key of ['a', 'b', 'c', 'd', 'e']) await world.requests.annotate(bot, asked.id, { key, text: key })
    await expect(world.requests.annotate(bot, asked.id, { key: 'f', text: 'f' })).rejects.toMatchObject({
      code: 'over_limit',
    })
    await expect(world.requests.annotate(bot, asked.id, { key: 'a', text: 'ü'.repeat(1001) })).rejects.toMatchObject({
      code: 'over_limit',
    })
    await expect(world.requests.annotate(bot, asked.id, { key: 'a', text: '\ud800' })).rejects.toMatchObject({
      code: 'malformed',
    })
    const events = (await world.eventTypes()).length
    await world.requests.annotate(bot, asked.id, { key: 'a', text: 'a' })
    expect((await world.eventTypes()).length).toBe(events)
    await world.requests.annotate(bot, asked.id, { key: 'a', text: 'new' })
    const shown = await world.requests.annotate(bot, asked.id, { key: 'b', text: '' })
    expect(shown.notes.map(({ by, text }) => `${by}: ${text}`).toSorted()).toEqual([
      'bot: c',
      'bot: d',
      'bot: e',
      'bot: new',
    ])
    expect([shown.requestDigest, shown.factsDigest]).toEqual([asked.requestDigest, asked.factsDigest])
    expect(shown.reviews).toMatchObject([{ counts: true }])
    await expect(
      world.requests.annotate(callerNamed('carol'), asked.id, { key: 'a', text: 'by a person' }),
    ).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(world.requests.annotate(bot, 'req_none', { key: 'a', text: 'x' })).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})
