import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { FakeLeg } from '../../test/support/fake-ssh-leg.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { mintCertificate } from '../formats/openssh/mint-certificate.ts'
import { publicKeyOf } from '../formats/openssh/public-key.ts'
import { makeSignature } from '../formats/openssh/signature.ts'
import { newId } from '../foundation/ids.ts'
import type { SshSignIn } from './control-plane.ts'
import { ClientSide, type Identification } from './relay/ssh/client-side.ts'
import { bytesToSign, publicKeyRequest, serviceRequest } from './relay/ssh/wire/auth-messages.ts'
import { payload } from './relay/ssh/wire/payload.ts'
import { SignInProofs } from './sign-in-proof.ts'

const NOW = Date.UTC(2026, 0, 1)
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey
const authority = newKey()
const key = newKey()

function certificateOf(userId: string): Buffer {
  const names = { kind: 'user', keyId: 'x', principals: [`sallyport-user-${userId}`] } as const
  const window = { validAfter: NOW - 60_000, validBefore: NOW + 60_000 }
  const criticalOptions = { 'login-session@sallyport': newId('login', NOW) }
  return mintCertificate({ subject: publicKeyOf(key), ...names, ...window, criticalOptions }, authority).blob
}

/** What the worker asks for a client that signs in as `userName` with the certificate. */
function signIn(userName: string): SshSignIn {
  const blob = certificateOf(newId('user', NOW))
  const leg = new FakeLeg()
  const identified: Identification[] = []
  const options = { leg, clock: new ManualClock(NOW), authorities: () => [publicKeyOf(authority).blob] }
  void new ClientSide({ ...options, onFailure: () => {}, onIdentified: (found) => identified.push(found) })
  leg.receive(serviceRequest('ssh-userauth'))
  const request = publicKeyRequest(userName, 'ssh-ed25519-cert-v01@openssh.com', blob)
  const signature = makeSignature(key, 'ssh-ed25519', bytesToSign(leg.sessionId, request))
  leg.receive(Buffer.concat([request, payload(0, signature).subarray(1)]))
  const [found] = identified
  if (found?.kind !== 'proven') throw new Error('not proven')
  const { user, proof } = found.client
  return {
    protocol: 'ssh',
    loginSessionId: user.loginSessionId,
    userId: user.userId,
    keyFingerprint: user.keyFingerprint,
    certificateSerial: user.serial,
    node: 'box',
    login: null,
    address: '127.0.0.1',
    proof,
  }
}

const proofs = (trusted = authority, now = NOW): SignInProofs =>
  new SignInProofs({ authorities: () => [publicKeyOf(trusted).blob], clock: new ManualClock(now) })

test('a client that signed in through a worker is proven, once', () => {
  const control = proofs()
  const input = signIn('+box')
  expect(control.trouble(structuredClone(input))).toBeNull()
  expect(control.trouble(input)).toBe('used_before')
})

test('whoever was refused and waited is judged anew in everything, and nobody waits with a proof that never counted', () => {
  const clock = new ManualClock(NOW)
  const trusted = [publicKeyOf(authority).blob]
  const control = new SignInProofs({ authorities: () => trusted, clock })
  const input = signIn('+box')
  for (let times = 0; times < 2; times++) expect(control.trouble(input, true)).toBe('never_used')
  expect(control.trouble(input)).toBeNull()
  expect(control.trouble(input, true)).toBeNull()
  expect(control.trouble(input)).toBe('used_before')
  expect(control.trouble({ ...input, node: 'elsewhere' }, true)).toBe('wrong_target')
  trusted.length = 0
  expect(control.trouble(input, true)).toBe('unknown_authority')
  trusted.push(publicKeyOf(authority).blob)
  clock.advance(60_000)
  expect(control.trouble(input, true)).toBe('expired')
})

test('a login under the signature is kept; behind a CONNECT preface the node comes from there', () => {
  expect(proofs().trouble({ ...signIn('root+box'), login: 'root' })).toBeNull()
  expect(proofs().trouble({ ...signIn('root'), login: 'root' })).toBeNull()
})

test.each<[string, (input: SshSignIn) => SshSignIn, string]>([
  ['another user', (input) => ({ ...input, userId: newId('user', NOW) }), 'wrong_user'],
  ['another login session', (input) => ({ ...input, loginSessionId: newId('login', NOW) }), 'wrong_user'],
  ['another key', (input) => ({ ...input, keyFingerprint: 'SHA256:x' }), 'wrong_user'],
  ['another node', (input) => ({ ...input, node: 'other' }), 'wrong_target'],
  ['another login', (input) => ({ ...input, login: 'root' }), 'wrong_target'],
  ['another connection', (input) => change(input, { sessionId: Buffer.alloc(32, 9) }), 'wrong_signature'],
  ['no signature', (input) => change(input, { signature: Buffer.alloc(0) }), 'wrong_signature'],
  ['no request', (input) => change(input, { request: Buffer.alloc(0) }), 'malformed'],
  ['a request cut short', (input) => change(input, { request: input.proof.request.slice(0, 90) }), 'malformed'],
])('a worker that names %s for a proven client is refused', (_name, changed, code) => {
  const control = proofs()
  const input = signIn('+box')
  expect(control.trouble(changed(input))).toBe(code)
  expect(control.trouble(input)).toBeNull()
})

test('a certificate of an authority that the control side does not trust, or whose time is over, proves nobody', () => {
  expect(proofs(newKey()).trouble(signIn('+box'))).toBe('unknown_authority')
  expect(proofs(authority, NOW + 60_000).trouble(signIn('+box'))).toBe('expired')
})

function change(input: SshSignIn, proof: Partial<SshSignIn['proof']>): SshSignIn {
  return { ...input, proof: { ...input.proof, ...proof } }
}
