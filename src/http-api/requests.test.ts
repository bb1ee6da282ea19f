import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR } from '../../test/support/access-world.ts'
import { AskBody, AccessRequest, AskPreview, ReviewBody, RequestListQuery } from '../contract/request.ts'
import { Refused } from '../foundation/errors.ts'
import { silentLog } from '../foundation/log.ts'
import type { CallContext, Handler } from './handler.ts'
import { requestHandlers } from './requests.ts'
import type { RouteName } from '../contract/routes.ts'

let world: AccessWorld
let handlers: ReturnType<typeof requestHandlers>
beforeEach(async () => {
  world = await AccessWorld.open()
  handlers = requestHandlers(world.requests, world.clock)
  await world.role('dba')
  await world.role('dev', { allow: { request: { roles: ['dba'] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

function contextOf(name: string, more: Partial<CallContext> = {}): CallContext {
  const { actor, userId, loginId } = callerNamed(name)
  return {
    actor,
    login: { id: loginId ?? '', userId: userId ?? '', secondFactorAt: null },
    local: false,
    address: '192.0.2.1',
    signal: new AbortController().signal,
    requireOperator: async () => {},
    requireFresh: async () => null,
    confirmation: null,
    log: silentLog,
    ...more,
  }
}

async function call<K extends RouteName>(
  name: K,
  context: CallContext,
  input: Partial<Parameters<Handler<K>>[1]>,
): Promise<unknown> {
  const handler = handlers[name] as Handler<K> | undefined
  if (!handler) throw new Error(`no handler ${name}`)
  return handler(context, { params: {}, query: undefined, body: undefined, ...input } as Parameters<Handler<K>>[1])
}

test('the whole story through the handlers, each answer as the contract says', async () => {
  const body = AskBody.parse({ roles: ['dba'], reason: 'ticket', duration: HOUR })
  const asked = (await call('ask', contextOf('alice'), { body })) as {
    request: unknown
    preview: unknown
    existing: boolean
  }
  const request = AccessRequest.parse(asked.request)
  expect(AskPreview.parse(asked.preview)).toMatchObject({ roles: ['dba'], duration: HOUR, reviewers: ['bob'] })
  expect(asked.existing).toBe(false)
  const params = { id: request.id }
  const { requestDigest, factsDigest } = AccessRequest.parse(await call('showRequest', contextOf('bob'), { params }))
  const query = { version: request.version }
  const watching = call('watchRequest', contextOf('alice'), { params, query })
  const review = ReviewBody.parse({ decision: 'approve', requestDigest, factsDigest })
  expect(AccessRequest.parse(await call('review', contextOf('bob'), { params, body: review })).state).toBe('approved')
  expect(AccessRequest.parse(await watching).state).toBe('approved')
  const list = (await call('listRequests', contextOf('bob'), { query: RequestListQuery.parse({}) })) as {
    items: unknown[]
  }
  expect(list.items).toHaveLength(1)
  expect(
    AccessRequest.parse(await call('revokeGrant', contextOf('bob'), { params, body: { reason: 'enough' } })).grant,
  ).toMatchObject({ endReason: 'revoked' })
})

test('a dry run gives a preview and no request', async () => {
  const body = AskBody.parse({ roles: ['*'], dryRun: true })
  expect(await call('ask', contextOf('alice'), { body })).toMatchObject({
    request: null,
    preview: { roles: ['dba'] },
    existing: false,
  })
  expect(await world.eventTypes()).not.toContain('access_request.create')
})

test('a watch without a change answers after 25 seconds with what it is', async () => {
  const { id, version } = await world.ask('alice', ['dba'])
  const watching = call('watchRequest', contextOf('alice'), { params: { id }, query: { version } })
  world.clock.advance(25_000)
  expect(AccessRequest.parse(await watching).version).toBe(version)
})

test('a review needs a fresh second factor', async () => {
  const { id, requestDigest, factsDigest } = await world.ask('alice', ['dba'])
  const requireFresh = async (): Promise<never> => {
    throw new Refused('step_up_required', 'prove your second factor')
  }
  const body = ReviewBody.parse({ decision: 'approve', requestDigest, factsDigest })
  await expect(call('review', contextOf('bob', { requireFresh }), { params: { id }, body })).rejects.toMatchObject({
    code: 'step_up_required',
  })
  expect((await world.show(id)).reviews).toEqual([])
})

test('a body can write nothing but what the contract lists', () => {
  for (const field of ['state', 'user', 'requester', 'reviews', 'thresholds', 'id', 'grant', 'createdAt'])
    expect(AskBody.safeParse({ roles: ['dba'], [field]: 'x' }).success, field).toBe(false)
  for (const field of ['author', 'reviewer', 'roles', 'state', 'annotations'])
    expect(
      ReviewBody.safeParse({ decision: 'approve', requestDigest: '', factsDigest: '', [field]: 'x' }).success,
      field,
    ).toBe(false)
  for (const decision of ['pending', 'none', 'promoted', '', null])
    expect(ReviewBody.safeParse({ decision, requestDigest: '', factsDigest: '' }).success, String(decision)).toBe(false)
})

test('deeds of the local admin: sees and revokes, never asks nor reviews', async () => {
  const admin = contextOf('x', {
    actor: { kind: 'local-admin', id: null, name: 'local-admin' },
    login: null,
    local: true,
  })
  const { id, requestDigest, factsDigest } = await world.ask('alice', ['dba'])
  const params = { id }
  await expect(call('ask', admin, { body: AskBody.parse({ roles: ['dba'] }) })).rejects.toMatchObject({
    code: 'not_allowed',
  })
  const review = ReviewBody.parse({ decision: 'approve', requestDigest, factsDigest })
  await expect(call('review', admin, { params, body: review })).rejects.toMatchObject({ code: 'not_a_reviewer' })
  await world.approve('bob', id)
  expect(await call('revokeGrant', admin, { params, body: { reason: '' } })).toMatchObject({
    grant: { endReason: 'revoked' },
  })
})
