import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditLab, openAuditLab } from '../../test/support/audit-lab.ts'
import { AuditEvent, type EventType } from '../contract/audit.ts'
import type { NewEvent } from './deed.ts'
import { type AuditFilter, searchEvents } from './search.ts'

let lab: AuditLab
const user = (id: string, name: string) => ({ kind: 'user', id, name }) as const
const nobody = { kind: 'anonymous', id: null, name: 'anonymous' } as const

beforeAll(async () => {
  lab = await openAuditLab()
  const tell = async (type: EventType, more: Partial<NewEvent>): Promise<void> => {
    lab.clock.advance(1000)
    const event: NewEvent = { type, actor: user('usr_a', 'alice'), outcome: 'success', ...more }
    await lab.deeds.commitDeed(async () => ({ result: 0, events: [event] }))
  }
  await tell('access_request.create', { request: 'req_1', details: { reason: '100% "sure"\nthing' } })
  await tell('access_request.review', { request: 'req_1', actor: user('usr_b', 'bob') })
  await tell('session.start', { session: 'ses_1', resource: { kind: 'node', id: 'nod_1', name: 'db-box' } })
  await tell('exec', {
    session: 'ses_1',
    resource: { kind: 'node', id: 'nod_1', name: 'db-box' },
    details: { c: 'ls_x' },
  })
  await tell('auth.fail', { actor: nobody, outcome: 'refused', details: { text: 'lsyx 1000' } })
})
afterAll(() => lab.remove())

const find = async (filter: AuditFilter): Promise<string[]> =>
  (await searchEvents(lab.database, filter)).items.map((event) => event.type)

describe('audit search', () => {
  it('gives events in the shape of the contract, newest first', async () => {
    const { items, next } = await searchEvents(lab.database, {})
    expect(items.map((event) => event.seq)).toEqual([6, 5, 4, 3, 2, 1])
    for (const event of items) expect(AuditEvent.parse(event)).toEqual(event)
    expect(next).toBeNull()
  })

  it.each<readonly [AuditFilter, string[]]>([
    [{ user: 'usr_b' }, ['access_request.review']],
    [{ user: 'nobody' }, []],
    [{ user: 'local-admin' }, ['ca.create']],
    [{ user: 'anonymous' }, ['auth.fail']],
    [{ type: 'exec' }, ['exec']],
    [{ type: 'access_request.*' }, ['access_request.review', 'access_request.create']],
    [{ type: 'access%' }, []],
    [{ type: 'access%*' }, []],
    [{ request: 'req_1' }, ['access_request.review', 'access_request.create']],
    [{ session: 'ses_1' }, ['exec', 'session.start']],
    [{ resource: 'db-box' }, ['exec', 'session.start']],
    [{ resource: 'node/db-box' }, ['exec', 'session.start']],
    [{ resource: 'db_box' }, []],
    [{ text: 'ls_x' }, ['exec']],
    [{ text: '100%' }, ['access_request.create']],
    [{ text: '"sure"\nthing' }, ['access_request.create']],
    [{ text: 'alice', type: 'exec' }, ['exec']],
    [{ text: "' or 1=1 --" }, []],
  ])('finds by %j', async (filter, types) => {
    expect(await find(filter)).toEqual(types)
  })

  it('finds by time: since inclusive, until exclusive', async () => {
    const start = lab.clock.now() - 5000
    expect(await find({ since: start + 2000, until: start + 4000 })).toEqual(['session.start', 'access_request.review'])
  })

  it('pages without gaps or repeats, while events go on', async () => {
    const seen: number[] = []
    let cursor: string | undefined
    do {
      const page = await searchEvents(lab.database, { limit: 4, ...(cursor === undefined ? {} : { cursor }) })
      seen.push(...page.items.map((event) => event.seq))
      cursor = page.next ?? undefined
      await lab.deeds.commitDeed(async () => ({
        result: 0,
        events: [{ type: 'exec', actor: nobody, outcome: 'success' }],
      }))
    } while (cursor !== undefined)
    expect(seen).toEqual([6, 5, 4, 3, 2, 1])
  })

  it.each(['', '-1', '1e5', '0', 'x', '99999999999999999'])('refuses the cursor "%s"', async (cursor) => {
    await expect(searchEvents(lab.database, { cursor })).rejects.toMatchObject({ code: 'malformed' })
  })
})
