import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { FakeLeg } from '../../../../test/support/fake-ssh-leg.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { mintCertificate, type CertificateSpec } from '../../../formats/openssh/mint-certificate.ts'
import { fingerprint, publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { makeSignature } from '../../../formats/openssh/signature.ts'
import { newId } from '../../../foundation/ids.ts'
import { ClientSide, type Identification } from './client-side.ts'
import { bytesToSign, publicKeyRequest, serviceRequest } from './wire/auth-messages.ts'
import { payload } from './wire/payload.ts'

const ALGORITHM = 'ssh-ed25519-cert-v01@openssh.com'
const NOW = Date.UTC(2026, 0, 1)
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey
const authority = newKey()
const key = newKey()
const userId = newId('user', NOW)
const loginId = newId('login', NOW)

function certificate(change: Partial<CertificateSpec> = {}, by = authority): Buffer {
  const spec: CertificateSpec = {
    subject: publicKeyOf(key),
    kind: 'user',
    keyId: 'alice',
    principals: [`sallyport-user-${userId}`],
    validAfter: NOW - 60_000,
    validBefore: NOW + 60_000,
    criticalOptions: { 'login-session@sallyport': loginId },
    serial: 77n,
    ...change,
  }
  return mintCertificate(spec, by).blob
}

class Door {
  readonly leg = new FakeLeg()
  readonly clock = new ManualClock(NOW)
  readonly failures: string[] = []
  readonly identified: Identification[] = []
  authorities: readonly Uint8Array[] = [publicKeyOf(authority).blob]

  constructor() {
    void new ClientSide({
      leg: this.leg,
      clock: this.clock,
      authorities: () => this.authorities,
      onFailure: (code) => this.failures.push(code),
      onIdentified: (identification) => this.identified.push(identification),
    })
    this.leg.receive(serviceRequest('ssh-userauth'))
    this.leg.take()
  }

  query(blob: Buffer, algorithm = ALGORITHM): number | undefined {
    this.leg.receive(payload(50, '+box', 'ssh-connection', 'publickey', false, algorithm, blob))
    return this.leg.take()[0]?.[0]
  }

  sign(blob: Buffer, by = key, user = '+box', algorithm = ALGORITHM): number | undefined {
    const request = publicKeyRequest(user, algorithm, blob)
    const signature = makeSignature(by, 'ssh-ed25519', bytesToSign(this.leg.sessionId, request))
    this.leg.receive(Buffer.concat([request, payload(0, signature).subarray(1)]))
    return this.leg.take()[0]?.[0]
  }
}

test('who signs with the key of a good certificate is known by it', () => {
  const door = new Door()
  expect(door.query(certificate())).toBe(60)
  expect(door.identified).toEqual([])
  expect(door.sign(certificate())).toBeUndefined()
  expect(door.identified).toMatchObject([
    {
      kind: 'proven',
      client: {
        userName: '+box',
        user: { userId, loginSessionId: loginId, serial: '77', keyFingerprint: fingerprint(publicKeyOf(key).blob) },
      },
    },
  ])
})

test('an expired certificate of ours is told apart only when its key has signed', () => {
  const door = new Door()
  const old = certificate({ validBefore: NOW - 1000 })
  expect(door.query(old)).toBe(60)
  expect(door.sign(old, newKey())).toBe(51)
  expect(door.identified).toEqual([])
  door.sign(old)
  expect(door.identified).toMatchObject([{ kind: 'expired' }])
})

test.each([
  ['of a stranger', certificate({}, newKey()), ALGORITHM, 'unknown_authority'],
  ['of a stranger, expired', certificate({ validBefore: NOW - 1000 }, newKey()), ALGORITHM, 'unknown_authority'],
  ['for a host', certificate({ kind: 'host', criticalOptions: {} }), ALGORITHM, 'wrong_kind'],
  ['for no user of ours', certificate({ principals: ['sallyport-user-root'] }), ALGORITHM, 'wrong_principal'],
  [
    'for a user id with something behind',
    certificate({ principals: [`sallyport-user-${userId}x`] }),
    ALGORITHM,
    'wrong_principal',
  ],
  ['without a login session', certificate({ criticalOptions: {} }), ALGORITHM, 'no_login_session'],
  [
    'with an odd login session',
    certificate({ criticalOptions: { 'login-session@sallyport': 'x' } }),
    ALGORITHM,
    'no_login_session',
  ],
  [
    'with a force-command',
    certificate({ criticalOptions: { 'force-command': 'id', 'login-session@sallyport': loginId } }),
    ALGORITHM,
    'critical_option',
  ],
  [
    'from another address',
    certificate({ criticalOptions: { 'login-session@sallyport': loginId, 'source-address': '10.0.0.0/8' } }),
    ALGORITHM,
    'source_address',
  ],
  ['under the name of another type', certificate(), 'rsa-sha2-256-cert-v01@openssh.com', 'wrong_algorithm'],
  ['cut short', certificate().subarray(0, 100), ALGORITHM, 'malformed'],
  ['of no bytes', Buffer.alloc(0), ALGORITHM, 'malformed'],
])('a certificate %s is refused, asked or signed', (_what, blob, algorithm, code) => {
  const door = new Door()
  expect([door.query(blob, algorithm), door.sign(blob, key, '+box', algorithm)]).toEqual([51, 51])
  expect(door.failures).toEqual([code, code])
  expect(door.identified).toEqual([])
})

test('plain keys are refused without being reported: agents offer all they have', () => {
  const door = new Door()
  expect(door.query(publicKeyOf(key).blob, 'ssh-ed25519')).toBe(51)
  expect(door.sign(publicKeyOf(key).blob, key, '+box', 'ssh-ed25519')).toBe(51)
  expect(door.failures).toEqual([])
})

test('a proof is judged again by the time and the authorities of that moment', () => {
  const [first, second] = [new Door(), new Door()]
  first.sign(certificate())
  second.sign(certificate())
  const isValid = (door: Door): boolean | null => {
    const [identification] = door.identified
    return identification?.kind === 'proven' ? identification.client.isStillValid() : null
  }
  expect([isValid(first), isValid(second)]).toEqual([true, true])
  first.clock.advance(60_000)
  second.authorities = []
  expect([isValid(first), isValid(second)]).toEqual([false, false])
})

test('the user name must not change, not even between two wrong attempts', () => {
  const door = new Door()
  door.sign(certificate(), newKey())
  door.sign(certificate(), key, '+other')
  expect(door.leg.failure?.message).toBe('the user name must not change')
  expect(door.identified).toEqual([])
})

test('the sixth wrong signature is the last', () => {
  const door = new Door()
  for (let i = 0; i < 5; i++) expect(door.sign(certificate(), newKey())).toBe(51)
  expect(door.sign(certificate(), newKey())).toBeUndefined()
  expect(door.leg.disconnected?.text).toBe('too many attempts to sign in')
  expect(door.identified).toEqual([{ kind: 'gave-up' }])
})

test('requests sent ahead are ignored once somebody is known, up to a limit', () => {
  const door = new Door()
  door.sign(certificate())
  for (let i = 0; i < 16; i++) door.sign(certificate(), newKey())
  expect([door.leg.failure, door.identified.length]).toEqual([null, 1])
  door.sign(certificate())
  expect(door.leg.failure?.message).toBe('too much sent ahead')
})

test.each([
  ['a channel', payload(90, 'session', 0, 1000, 1000)],
  ['success', payload(52)],
  ['a second service request', serviceRequest('ssh-userauth')],
  ['another service', payload(50, '+box', 'ssh-userauth', 'none')],
])('%s before somebody is known ends the connection', (_what, message) => {
  const door = new Door()
  door.leg.receive(message)
  expect(door.leg.failure).not.toBeNull()
})

test('a request before the service was asked for ends the connection', () => {
  const leg = new FakeLeg()
  const options = {
    leg,
    clock: new ManualClock(NOW),
    authorities: () => [],
    onFailure: () => {},
    onIdentified: () => {},
  }
  void new ClientSide(options)
  leg.receive(payload(50, '+box', 'ssh-connection', 'none'))
  expect(leg.failure).not.toBeNull()
})
