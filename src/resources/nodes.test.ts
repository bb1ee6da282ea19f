import { afterEach, beforeEach, expect, test } from 'vitest'
import { NodeDocument } from '../contract/node.ts'
import { identityStore } from '../../test/support/identity-store.ts'
import type { IdentityStore } from '../../test/support/identity-store.ts'
import { deviceKey } from '../../test/support/identity-world.ts'
import { listNodeDocuments, putNode, removeNode } from './nodes.ts'

let store: IdentityStore
beforeEach(() => {
  store = identityStore()
})
afterEach(() => store.close())

const doer = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const
const key = deviceKey()
const node = (spec: object = {}, name = 'db-box') =>
  NodeDocument.parse({
    kind: 'node',
    metadata: { name, labels: { env: 'prod' } },
    spec: { address: '10.0.0.1:22', host_key: key, ...spec },
  })

test('a node is written, changed under its id, and gone for good when removed', async () => {
  const { id } = await putNode(store, doer, node({ host_key: `${key} root@db-box` }), false)
  expect(await listNodeDocuments(store.database)).toEqual([node()])
  await expect(putNode(store, doer, node(), false)).rejects.toMatchObject({ code: 'exists' })
  expect(await putNode(store, doer, node({ address: 'db:2222' }), true)).toEqual({ id, created: false })
  await removeNode(store, doer, 'db-box')
  await expect(removeNode(store, doer, 'db-box')).rejects.toMatchObject({ code: 'not_found' })
  expect((await putNode(store, doer, node(), false)).id).not.toBe(id)
  expect(await store.eventTypes()).toEqual([
    ...['resource.create', 'resource.update', 'resource.delete', 'resource.create'],
  ])
})

test.each([
  '',
  'db',
  'db:',
  'db:0',
  'db:65536',
  ':22',
  'a b:22',
  '-oProxyCommand=x:22',
  'db:22:22',
  '[::1]',
  '[x]:22',
  '[10.0.0.1]:22',
  'db:22\n',
])('the address "%s" is refused', async (address) => {
  await expect(putNode(store, doer, node({ address }), false)).rejects.toMatchObject({ code: 'malformed' })
})

test.each(['db:22', '10.0.0.1:22', '[2001:db8::1]:22', 'a.b-c.example:65535'])(
  'the address "%s" is taken',
  async (address) => {
    await putNode(store, doer, node({ address }), false)
  },
)

test.each(['x', 'ssh-ed25519 AAAA', `${key}\n${key}`, '@cert-authority * ' + key])(
  'the host key "%s" is refused',
  async (line) => {
    await expect(putNode(store, doer, node({ host_key: line }), false)).rejects.toMatchObject({ code: 'malformed' })
    await expect(putNode(store, doer, node({ host_authority: line }), false)).rejects.toMatchObject({
      code: 'malformed',
    })
  },
)
