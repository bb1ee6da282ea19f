import type { RouteName } from '../../src/contract/routes.ts'

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDXdMQUEKmFWZZXKCtz0exSAtRHDPIlBNkhDLSxOGmKC'

/** A body that the contract takes, for each route that takes one. */
export const SAMPLE_BODIES: { readonly [K in RouteName]?: Readonly<Record<string, unknown>> } = {
  signIn: { user: 'alice', password: 'correct horse battery', code: '123456', device: 'd', sshPublicKey: key },
  acceptInvitation: { code: 'sally_invite_x', password: 'correct horse battery', device: 'd', sshPublicKey: key },
  addTotp: { name: 'phone' },
  confirmTotp: { code: '123456' },
  stepUp: { action: '0'.repeat(64), code: '123456' },
  ask: {
    roles: ['dba'],
    resources: ['node/x'],
    narrowing: { login: 'root' },
    reason: 'why',
    duration: 1,
    pendingFor: 1,
    reviewers: ['bob'],
    dryRun: false,
  },
  review: { decision: 'approve', reason: 'ok', duration: 1, requestDigest: 'x', factsDigest: 'x' },
  extendGrant: { duration: 1, reason: 'why', pendingFor: 1, reviewers: ['bob'] },
  revokeGrant: { reason: 'why' },
  breakGlass: { roles: ['dba'], reason: 'why', duration: 1, confirm: 'dba' },
  acknowledge: { comment: 'seen' },
  addDelegation: { to: 'bob', until: 1, roles: ['dba'], reason: 'why' },
  linkChatAccount: { code: 'k3xm-9qpa-7t2w' },
  terminateSession: { message: 'why' },
  createDocument: {
    document: { kind: 'role', version: 'v1', metadata: { name: 'dba' }, spec: {} },
    replace: true,
  },
  addServiceToken: {
    account: 'bot',
    owner: 'alice',
    roles: ['dba'],
    traits: {},
    scopes: ['requests:read'],
    ttl: 60_000,
    note: 'n',
  },
  retryIntegration: { message: 'msg_x' },
  testIntegration: { channel: 'ops' },
  annotate: { key: 'k', text: 'a note' },
  addUser: { name: 'dora', email: 'd@example.org', roles: [], traits: {} },
  issueDatabaseCertificate: { publicKey: 'AAAA' },
  addLock: { kind: 'user', target: 'alice', message: 'm', ttl: '1h' },
  acceptRollback: { reason: 'why' },
  rotateAuthority: { step: 'init' },
}

/** Query parameters that a route cannot do without. */
export const SAMPLE_QUERIES: { readonly [K in RouteName]?: string } = {
  pastJudgements: 'since=0',
  watchRequest: 'version=1',
  searchRecordings: 'text=orders',
  previewDelivery: 'role=dba',
}

/** The path with every parameter filled in. */
export function samplePath(name: RouteName, path: string): string {
  const filled = path.replace(/:[a-z]+/g, 'x')
  return SAMPLE_QUERIES[name] === undefined ? filled : `${filled}?${SAMPLE_QUERIES[name]}`
}
