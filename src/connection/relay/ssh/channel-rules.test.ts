import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../../test/support/any-text.ts'
import { globalVerdict, mayPassEnv, openVerdict, requestVerdict } from './channel-rules.ts'

const NONE = { pty: false, portForwarding: false, agentForwarding: false, forceCommand: null }

test.each(['LANG', 'LANGUAGE', 'LC_ALL', 'LC_TIME', 'COLORTERM', 'NO_COLOR', 'GIT_PROTOCOL'])('%s passes', (name) => {
  expect(mayPassEnv(name, 'en_GB.UTF-8')).toBe(true)
})

test.each([
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'BASH_ENV',
  'ENV',
  'PATH',
  'IFS',
  'PS4',
  'GIT_SSH_COMMAND',
  'GIT_PROXY_COMMAND',
  'NODE_OPTIONS',
  'PYTHONSTARTUP',
  'PERL5OPT',
  'TZ',
  'LC_',
  'lc_all',
  'LC_ALL=x',
  'LC_ALL\0',
  'XLANG',
  '',
  '__proto__',
])('%j does not pass', (name) => {
  expect(mayPassEnv(name, 'x')).toBe(false)
})

test.each(['() { :; }; id', 'a\nb', 'a\0b', '\u001b[2J', 'x'.repeat(257), '\xe9'])(
  'a value of %j does not pass',
  (value) => {
    expect(mayPassEnv('LC_ALL', value)).toBe(false)
  },
)

test('whatever is not in a table is refused, on either side', () => {
  const known =
    /^(session|direct-|forwarded-|auth-agent|pty-req|window-change|env|shell|exec|subsystem|signal|break|eow|exit-|xon-xoff|keepalive|no-more-|tcpip-|cancel-|streamlocal|hostkeys)/
  fc.assert(
    fc.property(anyText(), fc.constantFrom('client' as const, 'target' as const), (type, side) => {
      fc.pre(!known.test(type))
      expect(openVerdict(side, type, NONE).kind).toBe('unknown')
      expect(requestVerdict(side, true, type)).toBe('refuse')
      expect(globalVerdict(side, type)).toBe('refuse')
    }),
  )
})

test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('%s is nothing special', (type) => {
  expect(openVerdict('client', type, NONE).kind).toBe('unknown')
  expect(requestVerdict('client', true, type)).toBe('refuse')
  expect(globalVerdict('client', type)).toBe('refuse')
})

test('what only a session understands is refused on forwarded connections', () => {
  for (const type of ['shell', 'exec', 'subsystem', 'pty-req', 'env', 'signal', 'auth-agent-req@openssh.com']) {
    expect(requestVerdict('client', false, type)).toBe('refuse')
  }
  expect(requestVerdict('client', false, 'eow@openssh.com')).toBe('pass')
})
