import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { factsDigest, requestDigest, requestIdentity, type RequestContent } from './request-digest.ts'

const content: RequestContent = {
  installation: 'ins_1',
  id: 'req_1',
  kind: 'role',
  requesterId: 'usr_1',
  roles: [
    { id: 'rol_a', revision: 1, contentHash: 'aa' },
    { id: 'rol_b', revision: 2, contentHash: 'bb' },
  ],
  resources: [{ kind: 'node', id: 'nod_1' }],
  narrowing: null,
  reason: 'ticket',
  annotations: { service: ['P1'] },
  durationMs: 3_600_000,
  start: { at: 'approval' },
  pendingUntil: 1_800_000_000_000,
  extends: null,
}

describe('the request digest', () => {
  test('never changes for the same content: the value is part of the format', () => {
    expect(requestDigest(content)).toBe('924b2a82fc5ebe84c8fea012d41522000569a94d6b26297420b77cbaf4f35275')
  })

  test.each<[string, Partial<RequestContent>]>([
    ['installation', { installation: 'ins_2' }],
    ['id', { id: 'req_2' }],
    ['requester', { requesterId: 'usr_2' }],
    ['a role less', { roles: content.roles.slice(1) }],
    ['a revision', { roles: [{ id: 'rol_a', revision: 2, contentHash: 'aa' }, ...content.roles.slice(1)] }],
    ['a role content', { roles: [{ id: 'rol_a', revision: 1, contentHash: 'ab' }, ...content.roles.slice(1)] }],
    ['a resource', { resources: [] }],
    ['narrowing', { narrowing: { login: 'root' } }],
    ['reason', { reason: 'ticket ' }],
    ['annotations', { annotations: { service: ['P1', 'P2'] } }],
    ['duration', { durationMs: 3_600_001 }],
    ['start', { start: { at: 'first-use' } }],
    ['pending end', { pendingUntil: 1_800_000_000_001 }],
    ['what it extends', { extends: 'grt_1' }],
  ])('changes with %s', (_what, change) => {
    expect(requestDigest({ ...content, ...change })).not.toBe(requestDigest(content))
  })

  test('does not depend on the order of roles, resources or keys', () => {
    const { installation, id, ...rest } = content
    const turned = { ...rest, id, installation }
    expect(requestDigest({ ...turned, roles: content.roles.toReversed() })).toBe(requestDigest(content))
  })

  test('texts cannot run into each other', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (id, reason) => {
        fc.pre(id.isWellFormed() && reason.isWellFormed() && reason !== '')
        expect(requestDigest({ ...content, id: id + reason, reason: '' })).not.toBe(
          requestDigest({ ...content, id, reason }),
        )
      }),
    )
  })
})

test('a digest of one kind is never one of another, even over the same bytes', () => {
  const facts = { roles: [], resources: [], rules: [], policies: [] }
  const same = { ...content, ...facts, roleIds: [] }
  expect(new Set([requestDigest(same), factsDigest(same), requestIdentity(same)]).size).toBe(3)
})
