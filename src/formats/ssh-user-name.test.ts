import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../test/support/any-text.ts'
import { LOGIN_PATTERN } from '../contract/common.ts'
import { parseSshUserName } from './ssh-user-name.ts'

test('a login and a node are told apart at the plus', () => {
  expect(parseSshUserName('root+db-box')).toEqual({ ok: true, login: 'root', node: 'db-box' })
  expect(parseSshUserName('+db-box')).toEqual({ ok: true, login: null, node: 'db-box' })
})

test('the node is lowercased, the login keeps its case', () => {
  expect(parseSshUserName('Deploy+DB-Box')).toEqual({ ok: true, login: 'Deploy', node: 'db-box' })
})

test.each([
  ['nothing', ''],
  ['no plus', 'root'],
  ['only a plus', '+'],
  ['no node', 'root+'],
  ['two pluses', 'root+db+box'],
  ['a plus before', '++db-box'],
  ['a percent sign', 'root%db-box'],
  ['an at sign in the login', 'a@b+db-box'],
  ['a blank in the login', 'ro ot+db-box'],
  ['a blank in the node', 'root+db box'],
  ['a login that looks like an option', '-oProxyCommand+db-box'],
  ['a node that looks like an option', 'root+-oProxyCommand'],
  ['a path', 'root+../etc'],
  ['a comma, which would be two principals', 'root,admin+db-box'],
  ['a NUL', 'root\0+db-box'],
  ['a line break', 'root+db-box\n'],
  ['an escape sequence', '\u001b[2J+db-box'],
  ['a letter that only looks Latin', 'root+d\u0430tabase'],
  ['a combining accent', 'root+db\u0301'],
  ['the Kelvin sign', 'root+\u212aube'],
  ['a login that is too long', `${'a'.repeat(65)}+db-box`],
  ['a node that is too long', `root+${'a'.repeat(64)}`],
  ['a very long text', '+'.repeat(100_000)],
])('a user name with %s is refused', (_what, text) => {
  expect(parseSshUserName(text).ok).toBe(false)
})

test('whatever is accepted has no character with a meaning elsewhere', () => {
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.stringMatching(/^[a-zA-Z0-9._+%@, -]{0,80}$/)), (text) => {
      const name = parseSshUserName(text)
      if (!name.ok) return
      expect(name.node).toMatch(/^[a-z0-9][a-z0-9._-]*$/)
      if (name.login !== null) expect(name.login).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/)
    }),
  )
})

test('the contract and the format agree on every login', () => {
  fc.assert(
    fc.property(
      fc
        .oneof(fc.string({ minLength: 1, maxLength: 70 }), fc.stringMatching(/^[A-Za-z0-9_. -]{1,66}$/))
        .filter((login) => !login.includes('+')),
      (login) => {
        expect(parseSshUserName(`${login}+db-box`).ok).toBe(LOGIN_PATTERN.test(login))
      },
    ),
  )
})
