import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  actionsPath,
  dialogSeal,
  isActionsPath,
  isDialogSeal,
  isTriggerOf,
  readContext,
  readTrigger,
  signContext,
} from './mattermost-proof.ts'

const KEY = 'k'.repeat(32)
const FACTS = { button: 'approve', buttonId: 'ab12', channel: 'c'.repeat(26), until: 1_767_225_600_000 }

test('a context that we signed is read, for this integration and key alone', () => {
  const context = signContext(KEY, 'chat', FACTS)
  expect(readContext(KEY, 'chat', context)).toEqual(FACTS)
  expect(readContext(KEY, 'chat2', context)).toBeNull()
  expect(readContext('x'.repeat(32), 'chat', context)).toBeNull()
})

test('trap 2: whatever is changed in a context, added to it or taken from it, it is not ours any more', () => {
  const context = signContext(KEY, 'chat', FACTS)
  for (const name of Object.keys(context)) {
    expect(readContext(KEY, 'chat', { ...context, [name]: `${context[name] ?? ''}0` }), name).toBeNull()
    expect(readContext(KEY, 'chat', { ...context, [name]: undefined }), name).toBeNull()
    expect(readContext(KEY, 'chat', { ...context, [name]: [context[name]] }), name).toBeNull()
  }
  expect(readContext(KEY, 'chat', { ...context, extra: 'x' })).toBeNull()
  for (const other of [null, undefined, 'x', 7, [], {}]) expect(readContext(KEY, 'chat', other)).toBeNull()
})

test('values cannot move from one field of a context to the next', () => {
  const text = fc.string({ maxLength: 6 })
  fc.assert(
    fc.property(text, text, text, text, (a, b, c, d) => {
      fc.pre(a !== c || b !== d)
      const one = signContext(KEY, 'chat', { ...FACTS, button: a, buttonId: b })
      expect(one['mac']).not.toBe(signContext(KEY, 'chat', { ...FACTS, button: c, buttonId: d })['mac'])
    }),
    { numRuns: 200 },
  )
})

test('the path of buttons and the seal of a form are of one integration, nonce and user', () => {
  expect(isActionsPath(KEY, 'chat', actionsPath(KEY, 'chat'))).toBe(true)
  expect(isActionsPath(KEY, 'chat2', actionsPath(KEY, 'chat'))).toBe(false)
  expect(actionsPath(KEY, 'chat')).toMatch(/^actions-[0-9a-f]{32}$/)
  const seal = dialogSeal(KEY, 'chat', 'n1', 'u1')
  expect(isDialogSeal(KEY, 'chat', { nonce: 'n1', userId: 'u1', seal })).toBe(true)
  expect(isDialogSeal(KEY, 'chat', { nonce: 'n2', userId: 'u1', seal })).toBe(false)
  expect(isDialogSeal(KEY, 'chat', { nonce: 'n1', userId: 'u2', seal })).toBe(false)
  expect(isDialogSeal(KEY, 'chat', { nonce: 'n1', userId: 'u1', seal: '' })).toBe(false)
})

test('a key that is too short authenticates nothing', () => {
  expect(() => actionsPath('short', 'chat')).toThrow('at least 32')
})

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
const USER = 'u'.repeat(26)

function trigger(data = `${'i'.repeat(26)}:${USER}:1767225600000:`): string {
  return Buffer.from(data + sign('sha256', Buffer.from(data), pair.privateKey).toString('base64')).toString('base64')
}

test('a trigger id says whose click it was and when, and is known to be signed by one server', () => {
  expect(readTrigger(trigger())).toEqual({ id: 'i'.repeat(26), userId: USER, at: 1_767_225_600_000 })
  expect(isTriggerOf(publicKey, trigger())).toBe(true)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' })
  expect(isTriggerOf(other.toString('base64'), trigger())).toBe(false)
  expect(isTriggerOf('no key', trigger())).toBe(false)
})

test('a trigger id of another shape is none', () => {
  const cut = Buffer.from(trigger(), 'base64')
  const shapes = ['', 'x', '!!!', 'A'.repeat(5000), cut.subarray(0, 40).toString('base64'), trigger(`${USER}:1:`)]
  for (const text of shapes) expect(readTrigger(text), text).toBeNull()
  expect(readTrigger(trigger(`${'i'.repeat(26)}:${USER.toUpperCase()}:1:`))).toBeNull()
})
