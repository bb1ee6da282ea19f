import { generateKeyPairSync } from 'node:crypto'
import { ApiError } from '../../src/contract/api-error.ts'
import { createClient, type Client } from '../../src/contract/client.ts'
import type { AccessRequest } from '../contract-types.ts'
import { errorOf, SallyportError } from '../errors.ts'
import type { PinnedTransport } from '../pinned-transport.ts'
import { Authenticator } from './totp.ts'

export interface AskOptions {
  readonly roles: readonly string[]
  readonly reason?: string
  /** Milliseconds */
  readonly duration?: number
}

/** Somebody who is signed in on one device, with an authenticator app. */
export class TestPerson {
  readonly name: string
  /** Of the login session: for calls that this kit has no method for */
  readonly token: string
  readonly #api: Client

  private constructor(name: string, token: string, api: Client) {
    this.name = name
    this.token = token
    this.#api = api
  }

  /** @internal */
  static async accept(transport: PinnedTransport, name: string, code: string, now: () => number): Promise<TestPerson> {
    const send = (call: Parameters<PinnedTransport['send']>[0]) => transport.send(call)
    const body = { code, password: 'a password of a test', device: 'test kit', sshPublicKey: newDeviceKey() }
    const { token } = await createClient(send).acceptInvitation({ body })
    const plain = createClient(send, { token })
    const factor = await plain.addTotp({ body: { name: 'test kit' } })
    const app = new Authenticator(factor.secret, now)
    await plain.confirmTotp({ params: { id: factor.id }, body: { code: await app.code() } })
    return new TestPerson(name, token, createClient(send, { token, stepUpCode: () => app.code() }))
  }

  async ask({ roles, reason = 'a test', duration }: AskOptions): Promise<AccessRequest> {
    const body = { roles: [...roles], reason, ...(duration === undefined ? {} : { duration }) }
    const { request } = await asked(this.#api.ask({ body }))
    if (!request) throw new SallyportError('bad_answer', 'the daemon made no request')
    return request
  }

  show(id: string): Promise<AccessRequest> {
    return asked(this.#api.showRequest({ params: { id } }))
  }

  /** Votes on the request as it is now, with a code where one is due. */
  approve(id: string, reason = ''): Promise<AccessRequest> {
    return this.#vote(id, 'approve', reason)
  }

  deny(id: string, reason = ''): Promise<AccessRequest> {
    return this.#vote(id, 'deny', reason)
  }

  cancel(id: string): Promise<AccessRequest> {
    return asked(this.#api.cancelRequest({ params: { id } }))
  }

  /** Gives the grant of the request back. */
  return(id: string): Promise<AccessRequest> {
    return asked(this.#api.returnGrant({ params: { id } }))
  }

  async #vote(id: string, decision: 'approve' | 'deny', reason: string): Promise<AccessRequest> {
    const { requestDigest, factsDigest, grantedDuration, grantedStart } = await this.show(id)
    const shown = { duration: grantedDuration, startAt: grantedStart }
    const body = { decision, reason, requestDigest, factsDigest, shown }
    return asked(this.#api.review({ params: { id }, body }))
  }
}

async function asked<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw error instanceof ApiError ? errorOf(error, error) : error
  }
}

/** A line as in `id_ed25519.pub`; nobody keeps the private half. */
function newDeviceKey(): string {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  const part = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const blob = Buffer.concat([part(Buffer.from('ssh-ed25519')), part(Buffer.from(x ?? '', 'base64url'))])
  return `ssh-ed25519 ${blob.toString('base64')}`
}
