import { afterEach, describe, expect, test } from 'vitest'
import { AccessWorld } from '../support/access-world.ts'
import { ChatWorld, testSealer } from '../support/chat-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { STORES, openOn, useStores } from '../support/stores.ts'

// Two daemons take in what twenty people do at the same moment; on SQLite there is one daemon, with two ways in.

describe.each(STORES)('on %s', (kind) => {
  const stores = useStores(kind)
  const worlds: AccessWorld[] = []
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop()
  })

  async function twoDaemons(): Promise<[ChatWorld, ChatWorld]> {
    const clock = new ManualClock()
    const sealer = testSealer()
    if (kind === 'sqlite') {
      const world = await AccessWorld.open(clock, await stores.open(clock))
      worlds.push(world)
      const chat = new ChatWorld(world, sealer)
      return [chat, chat]
    }
    const name = await stores.server.database()
    const first = await AccessWorld.open(clock, await openOn(stores.server, clock, name))
    const second = new AccessWorld(await openOn(stores.server, clock, name), clock)
    worlds.push(first, second)
    return [new ChatWorld(first, sealer), new ChatWorld(second, sealer)]
  }

  test('trap 11: twenty approve and deny at once through two daemons: one end, at most one grant, every repetition without effect', async () => {
    const [one, two] = await twoDaemons()
    const { access } = one
    await access.role('dba', { options: { chat_approval: 'allowed' } })
    await access.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 2 }] } } })
    await access.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await access.user('alice', { roles: ['dev'] })
    const people = Array.from({ length: 20 }, (_, at) => `lead-${at}`)
    for (const name of people) await access.user(name, { roles: ['lead'] })
    const integration = await one.integration()
    for (const name of people) await one.link(name)
    const { id } = await access.ask('alice', ['dba'])
    const button = await one.message(id, integration)
    const forms = []
    for (const [at, name] of people.entries())
      forms.push({ name, at, form: await one.presses(name, at % 2 === 0 ? 'approve' : 'deny', button) })
    const sent = await Promise.all(
      forms.flatMap(({ name, at, form }) =>
        [one, two].map((chat) => chat.sends(name, form, {}, { eventId: `press ${at}` })),
      ),
    )
    const shown = await access.show(id)
    expect(['approved', 'denied']).toContain(shown.state)
    expect(sent.filter(({ kind: outcome }) => outcome === 'rejected')).toEqual([])
    const grants = await access.database.reads.selectFrom('grants').select('id').execute()
    expect(grants).toHaveLength(shown.state === 'approved' ? 1 : 0)
    const votes = await access.database.reads.selectFrom('reviews').select(['reviewer_id', 'decision']).execute()
    expect(new Set(votes.map((vote) => vote.reviewer_id)).size).toBe(votes.length)
    const winners = votes.filter(({ decision }) => decision === (shown.state === 'approved' ? 'approve' : 'deny'))
    expect(winners).toHaveLength(2)
    const decided = (await access.eventTypes()).filter((type) => /^access_request\.(approve|deny)$/.test(type))
    expect(decided).toHaveLength(1)
  })

  test('trap 3: one envelope over two sockets of two daemons asks, cancels and votes once', async () => {
    const [one, two] = await twoDaemons()
    const { access } = one
    await access.role('dba', { options: { chat_approval: 'allowed' } })
    await access.role('dev', { allow: { request: { roles: ['dba'] } } })
    await access.user('alice', { roles: ['dev'] })
    await one.integration()
    await one.link('alice')
    const outcomes = await Promise.all(
      [one, two, one, two].map((chat) => chat.types('alice', 'request dba for 1h: x', { eventId: 'envelope' })),
    )
    expect(outcomes.map(({ kind: outcome }) => outcome)).toContain('done')
    expect(await access.database.reads.selectFrom('access_requests').select('id').execute()).toHaveLength(1)
    expect((await access.eventTypes()).filter((type) => type === 'access_request.create')).toHaveLength(1)
  })
})
