// The least SSH client: one publickey request, and sshd's answer to it.
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { openLeg } from '../../src/connection/relay/ssh/leg-over-socket.ts'
import type { SshLeg } from '../../src/connection/relay/ssh/ssh-leg.ts'
import { DISCONNECT_REASON, MESSAGE } from '../../src/connection/relay/ssh/wire/messages.ts'
import type { SignatureAlgorithm } from '../../src/formats/openssh/algorithms.ts'
import { makeSignature } from '../../src/formats/openssh/signature.ts'
import { SshWriter } from '../../src/formats/openssh/ssh-bytes.ts'
import { systemClock } from '../../src/foundation/clock.ts'

export interface Credential {
  readonly user: string
  /** As in the request, e.g. ssh-ed25519-cert-v01@openssh.com */
  readonly algorithm: string
  readonly signature: SignatureAlgorithm
  /** Key or certificate */
  readonly blob: Uint8Array
  readonly key: KeyObject
}

/** A leg to 127.0.0.1 that trusts whatever host key is shown. */
export async function openTestLeg(port: number): Promise<SshLeg> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const task = { signal: new AbortController().signal, clock: systemClock }
  return openLeg(socket, { task, peerAddress: '127.0.0.1', verifyHostKey: () => {} })
}

export function publickeyRequest(sessionId: Buffer, credential: Credential): Buffer {
  const { user, algorithm, signature, blob, key } = credential
  const request = new SshWriter(2048).u8(MESSAGE.USERAUTH_REQUEST).string(user).string('ssh-connection')
  request.string('publickey').bool(true).string(algorithm).string(blob)
  const signed = new SshWriter(2048).string(sessionId).raw(request.toBuffer()).toBuffer()
  return request.string(makeSignature(key, signature, signed)).toBuffer()
}

/** Whether the sshd at `port` lets the credential in. */
export async function mayUse(port: number, credential: Credential): Promise<boolean> {
  const leg = await openTestLeg(port)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  leg.onClose = () => resolve(false)
  leg.onPacket = ({ payload }) => {
    if (payload[0] === MESSAGE.USERAUTH_SUCCESS) {
      leg.authenticated()
      resolve(true)
    }
    if (payload[0] === MESSAGE.USERAUTH_FAILURE) resolve(false)
  }
  leg.send(new SshWriter().u8(MESSAGE.SERVICE_REQUEST).string('ssh-userauth').toBuffer())
  leg.send(publickeyRequest(leg.sessionId, credential))
  const isIn = await promise
  leg.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'that was all')
  return isIn
}
