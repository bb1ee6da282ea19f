import { generateKeyPair, type KeyObject } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { CERTIFICATE_SUFFIX } from '../../../formats/openssh/algorithms.ts'
import { publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { makeSignature } from '../../../formats/openssh/signature.ts'
import type { Task } from '../../../foundation/clock.ts'
import type { Authorization, SshFacts } from '../../authorization.ts'
import { mintedCertificate, type ControlPlane } from '../../control-plane.ts'
import type { Node } from './host-key.ts'
import type { InboundPacket, SshLeg } from './ssh-leg.ts'
import { bytesToSign, publicKeyRequest, serviceRequest } from './wire/auth-messages.ts'
import { MESSAGE } from './wire/messages.ts'
import { ProtocolError } from './wire/protocol-error.ts'

const CONNECT_MS = 10_000
/** Key exchange and signing in, behind the TCP connection */
const SIGN_IN_MS = 15_000
/** Messages that a target sends on its own between letting us in and our being ready. */
const MOST_HELD = 64

/** The target cannot be used. `text` is for the person, `reason` for the event. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed'
  readonly reason: string

  constructor(reason: string, text: string) {
    super(text)
    this.reason = reason
  }
}

export interface Dialled {
  readonly socket: Duplex
  /** Of our end, without port */
  readonly localAddress: string | null
  /** Of the target, without port */
  readonly peerAddress: string
}

export interface UpstreamWorld {
  readonly control: Pick<ControlPlane, 'mint'>
  /** Opens a TCP connection; rejects when the signal is aborted. */
  dial(host: string, port: number, signal: AbortSignal): Promise<Dialled>
  /** Key exchange as a client. Rejects with UpstreamFailed for a wrong host key. Destroys the socket when aborted. */
  exchangeKeys(dialled: Dialled, node: Node, signal: AbortSignal): Promise<SshLeg>
}

export interface Upstream {
  readonly leg: SshLeg
  /** What the target sent since it let us in; the leg is paused. */
  readonly held: readonly InboundPacket[]
}

const newKeyPair = promisify(generateKeyPair)

/** Spends the authorization: one target, one login, one fresh key that never leaves this function. */
export async function connectUpstream(
  authorization: Authorization<SshFacts>,
  world: UpstreamWorld,
  task: Task,
): Promise<Upstream> {
  const facts = authorization.spend()
  const dialled = await dialNode(facts.node, world, task)
  const limit = deadline(task, SIGN_IN_MS)
  try {
    const { privateKey, publicKey } = await newKeyPair('ed25519')
    const publicBlob = publicKeyOf(publicKey).blob
    const key = { publicKey: publicBlob, sourceAddress: dialled.localAddress }
    const minting = world.control.mint({ kind: 'ssh-certificate', authorizationId: facts.id, ...key })
    // Answered while keys are exchanged; a refusal must not count as unhandled until it is looked at below.
    minting.catch(() => undefined)
    const leg = await world.exchangeKeys(dialled, facts.node, limit.signal)
    const certificate = mintedCertificate(await minting)
    return await signIn(leg, facts, certificate, privateKey, limit.signal)
  } catch (error) {
    dialled.socket.destroy()
    throw asUpstreamFailure(error, facts.node)
  } finally {
    limit.clear()
  }
}

async function dialNode(node: Node, world: UpstreamWorld, task: Task): Promise<Dialled> {
  const limit = deadline(task, CONNECT_MS)
  try {
    return await world.dial(node.host, node.port, limit.signal)
  } catch {
    throw new UpstreamFailed('upstream_unreachable', `${node.name} cannot be reached`)
  } finally {
    limit.clear()
  }
}

/** SERVICE_REQUEST and the signed request go out at once; a target that takes the key needs one round trip. */
function signIn(
  leg: SshLeg,
  facts: SshFacts,
  certificate: Uint8Array,
  privateKey: KeyObject,
  signal: AbortSignal,
): Promise<Upstream> {
  const held: InboundPacket[] = []
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    leg.onClose = ({ error, peerText }) => {
      const why = peerText ?? error?.message ?? 'it closed the connection'
      reject(new UpstreamFailed('upstream_refused', `${facts.node.name} did not let ${facts.login} in: ${why}`))
    }
    leg.onPacket = ({ payload }) => {
      if (leg.isAuthenticated) {
        if (held.length >= MOST_HELD) throw new ProtocolError('too much sent ahead')
        held.push({ payload: Buffer.from(payload), frame: null })
        return
      }
      switch (payload[0]) {
        case MESSAGE.SERVICE_ACCEPT:
        case MESSAGE.USERAUTH_BANNER:
          return
        case MESSAGE.USERAUTH_SUCCESS:
          leg.authenticated()
          leg.pause()
          resolve({ leg, held })
          return
        case MESSAGE.USERAUTH_FAILURE:
          reject(new UpstreamFailed('upstream_refused', `${facts.node.name} did not let ${facts.login} in`))
          return
        default:
          throw new ProtocolError(`unexpected message ${payload[0]} while signing in`)
      }
    }
    const request = publicKeyRequest(facts.login, `ssh-ed25519${CERTIFICATE_SUFFIX}`, certificate)
    const signature = makeSignature(privateKey, 'ssh-ed25519', bytesToSign(leg.sessionId, request))
    leg.send(serviceRequest('ssh-userauth'))
    leg.send(Buffer.concat([request, lengthPrefixed(signature)]))
  })
}

function lengthPrefixed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function asUpstreamFailure(error: unknown, node: Node): UpstreamFailed {
  if (error instanceof UpstreamFailed) return error
  const text = error instanceof Error ? error.message : String(error)
  return new UpstreamFailed('upstream_refused', `${node.name} cannot be used: ${text}`)
}

/** A signal that is aborted with the task's, or after `ms`. */
function deadline(task: Task, ms: number): { readonly signal: AbortSignal; clear(): void } {
  const late = new AbortController()
  const timer = task.clock.after(ms, () => late.abort(new Error('it took too long')))
  return { signal: AbortSignal.any([task.signal, late.signal]), clear: () => timer.cancel() }
}
