import { expect, test } from 'vitest'
import { Authorization, type SshFacts } from './authorization.ts'

const facts: SshFacts = {
  protocol: 'ssh',
  id: 'azn_1',
  sessionId: 'ses_1',
  user: { id: 'usr_1', name: 'alice' },
  loginSessionId: 'lgn_1',
  node: {
    id: 'nod_1',
    name: 'db-box',
    host: '127.0.0.1',
    port: 22,
    hostKey: null,
    hostAuthority: null,
    hostPrincipal: null,
  },
  login: 'root',
  grants: [],
  requests: [],
  permissions: { pty: true, portForwarding: false, agentForwarding: false, forceCommand: null },
  endsAt: null,
  endText: '',
  budgetMs: null,
  idleMs: null,
  offlineGraceMs: 60_000,
  recording: { path: '/tmp/none', keyId: 'k', key: new Uint8Array(32), mode: 'strict', recordInput: false },
  position: 1,
}

// Never run: the compiler is the test. Each line would be an upstream opened without authorize() having said yes.
export function forgeries(open: (authorization: Authorization) => void): void {
  // @ts-expect-error a literal of the same shape lacks the #proof that only the class can write
  open({ facts, spend: () => facts })
  // @ts-expect-error the constructor is private: `certify` is the one way, and the boundary checker names who may call it
  open(new Authorization(facts))
  // @ts-expect-error facts alone prove nothing
  open(facts)
}

test('an authorization gives its facts once and never again', () => {
  const authorization = Authorization.certify(facts)
  expect(authorization.spend()).toBe(facts)
  expect(() => authorization.spend()).toThrow('used twice')
})
