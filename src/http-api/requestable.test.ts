import { beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { RequestableQuery, RequestableResource } from '../contract/requestable.ts'
import { silentLog } from '../foundation/log.ts'
import { requestableHandlers } from './requestable.ts'

let store: SeededStore
beforeEach(async () => {
  store = await seededStore()
  await store.role('prod', { allow: { logins: ['root', 'app'], node_labels: { env: 'prod' } } })
  await store.role('prod-app', { allow: { logins: ['app'], node_labels: { env: 'prod' } } })
  await store.role('hidden', { allow: { logins: ['root'], node_labels: { env: 'hidden' } } })
  await store.role('dev', {
    allow: {
      logins: ['me'],
      node_labels: { env: 'dev' },
      request: { roles: ['prod-app'], search_as_roles: ['prod'], max_duration: '2h' },
    },
  })
  await store.user('ada', ['dev'])
  await store.login('ada')
  await store.node('db-1', { env: 'prod', service: 'Orders DB' })
  await store.node('db-2', { env: 'prod' })
  await store.node('laptop', { env: 'dev' })
  await store.node('secret', { env: 'hidden' })
})

type Query = Parameters<typeof RequestableQuery.parse>[0]

async function search(query: Query = {}, user = 'ada'): Promise<{ items: RequestableResource[]; next: string | null }> {
  const { searchRequestable } = requestableHandlers(store)
  const context = {
    actor: { kind: 'user', id: `usr_${user}`, name: user } as const,
    login: { id: `lgn_${user}`, userId: `usr_${user}`, secondFactorAt: null },
    local: false,
    address: '192.0.2.1',
    signal: new AbortController().signal,
    requireOperator: async () => {},
    requireFresh: async () => null,
    confirmation: null,
    log: silentLog,
  }
  const answer = await searchRequestable?.(context, {
    params: {},
    query: RequestableQuery.parse(query),
    body: undefined,
  })
  return z.object({ items: z.array(RequestableResource), next: z.string().nullable() }).parse(answer)
}
const names = async (query?: Query, user?: string): Promise<string[]> =>
  (await search(query, user)).items.map(({ name }) => name)

describe('what may be asked for', () => {
  test('names what works now, what would help and how, the smallest first, and nothing that must not be known', async () => {
    const { items, next } = await search()
    expect(next).toBeNull()
    expect(items).toMatchObject([
      {
        kind: 'node',
        id: 'nod_db-1',
        name: 'db-1',
        logins: [],
        accessUntil: null,
        roles: [
          { name: 'prod-app', logins: ['app'], longest: 7_200_000, asRole: true, asResource: false },
          { name: 'prod', logins: ['app', 'root'], longest: 7_200_000, asRole: false, asResource: true },
        ],
      },
      { name: 'db-2' },
      { name: 'laptop', logins: ['me'], roles: [] },
    ])
  })
  test('counts a grant of one resource for that one alone', async () => {
    const pin = { kind: 'node', id: 'nod_db-1', name: 'db-1', labels: { env: 'prod', service: 'Orders DB' } }
    const identity = JSON.stringify(['ssh-ed25519 AAAA', null, null])
    const resources_json = JSON.stringify([{ ...pin, identity }])
    await store.grant('1', 'ada', 'prod', 3_600_000, {
      kind: 'resource',
      resources_json,
      narrowing_json: '{"login":"root"}',
    })
    const { items } = await search({ text: 'db' })
    expect(items.map(({ name, logins }) => [name, logins])).toEqual([
      ['db-1', ['root']],
      ['db-2', []],
    ])
    expect(items[0]?.accessUntil).toBe(store.clock.now() + 3_600_000)
  })
  test('filters by kind, by labels and by words', async () => {
    expect(await names({ kind: 'node', labels: 'env=prod' })).toEqual(['db-1', 'db-2'])
    expect(await names({ labels: 'env=prod&service=Orders+DB' })).toEqual(['db-1'])
    expect(await names({ labels: 'toString=x' })).toEqual([])
    expect(await names({ kind: 'database' })).toEqual([])
    expect(await names({ text: ' orders  DB-1 ' })).toEqual(['db-1'])
    // A word finds nothing that is not shown without it.
    expect(await names({ text: 'secret' })).toEqual([])
    expect(await names({ labels: 'env=hidden' })).toEqual([])
  })
  test('comes in pages that skip and double nothing, also when something appears in between', async () => {
    const first = await search({ limit: 1 })
    expect(first.items.map(({ name }) => name)).toEqual(['db-1'])
    await store.node('a-new', { env: 'prod' })
    await store.node('db-3', { env: 'prod' })
    const second = await search({ limit: 2, cursor: first.next ?? '' })
    expect(second.items.map(({ name }) => name)).toEqual(['db-2', 'db-3'])
    const third = await search({ limit: 2, cursor: second.next ?? '' })
    expect([third.items.map(({ name }) => name), third.next]).toEqual([['laptop'], null])
  })
  test.each(['', 'x', Buffer.from('[1,2]').toString('base64url'), Buffer.from('{}').toString('base64url')])(
    'refuses the cursor %j',
    async (cursor) => {
      await expect(search({ cursor })).rejects.toMatchObject({ code: 'malformed' })
    },
  )
  test('is nothing for somebody without roles, and for nobody', async () => {
    await store.user('eve', [])
    expect(await names({}, 'eve')).toEqual([])
    expect(await names({}, 'nobody')).toEqual([])
  })
})
