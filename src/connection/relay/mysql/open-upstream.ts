import { generateKeyPairSync } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { Task } from '../../../foundation/clock.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import type { ControlPlane, MintInput } from '../../control-plane.ts'
import { certificatePem } from '../../upstream-context.ts'
import {
  signInUpstream,
  UpstreamFailed,
  type Agreed,
  type Credential,
  type MysqlTarget,
  type MysqlUpstream,
} from './upstream-side.ts'
import { OFFERED } from './wire/capabilities.ts'
import { COMMAND } from './wire/commands.ts'
import { framed } from './wire/packets.ts'

const CONNECT_MS = 10_000
/** What a kill may take before the session is closed without it. */
const KILL_MS = 900
const KEEPALIVE_MS = 30_000
const UTF8MB4 = 45

export interface OpenedUpstream {
  readonly upstream: MysqlUpstream
  /** For the connection that ends the query at the session's end */
  readonly credential: Credential
}

/** Connects and signs in with what the control side gives for this authorization. Errors: UpstreamFailed. */
export async function openUpstream(
  authorization: Authorization<DatabaseFacts>,
  wanted: Agreed,
  control: Pick<ControlPlane, 'mint'>,
  task: Task,
): Promise<OpenedUpstream> {
  const facts = authorization.spend()
  const credential = await credentialFor(facts, control, false)
  const upstream = await connectAndSignIn(facts, credential, wanted, { ...task, ms: CONNECT_MS })
  return { upstream, credential }
}

/** What of a thread is stopped */
export type Stop = 'CONNECTION' | 'QUERY'

/**
 * KILL from a second connection: a server goes on with a statement when its client is gone. Resolves with whether it has
 * said that it will; takes a second at most. Errors: UpstreamFailed.
 */
export async function killThread(
  { facts, threadId, credential }: { facts: DatabaseFacts; threadId: number; credential: Credential },
  what: Stop,
  control: Pick<ControlPlane, 'mint'>,
  { clock, signal }: Task,
): Promise<boolean> {
  const late = new AbortController()
  const timer = clock.after(KILL_MS, () => late.abort())
  const task = { clock, signal: AbortSignal.any([signal, late.signal]), ms: KILL_MS }
  try {
    // A certificate was good for a minute.
    const shown = credential.kind === 'password' ? credential : await inTime(credentialFor(facts, control, true), task)
    const agreed = { accepted: OFFERED, collation: UTF8MB4 }
    const { socket } = await connectAndSignIn({ ...facts, dbName: null }, shown, agreed, task)
    return await askToKill(socket, `KILL ${what} ${String(threadId)}`, task.signal)
  } finally {
    timer.cancel()
  }
}

/** Nobody waits for `work` any more once the signal is aborted. */
function inTime<T>(work: Promise<T>, { signal }: Task): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  signal.addEventListener('abort', () => reject(new UpstreamFailed('no_credential', 'it took too long')), {
    once: true,
  })
  work.then(resolve, reject)
  return promise
}

async function askToKill(socket: Socket, statement: string, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const abort = (): void => resolve(false)
  signal.addEventListener('abort', abort, { once: true })
  socket.once('data', (answer: Buffer) => resolve(answer[4] === 0))
  socket.once('close', abort)
  socket.once('error', abort)
  socket.write(framed(0, Buffer.from([COMMAND.QUERY]), Buffer.from(statement)))
  socket.resume()
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

async function credentialFor(
  facts: DatabaseFacts,
  control: Pick<ControlPlane, 'mint'>,
  toEnd: boolean,
): Promise<Credential> {
  const input = mintInput(facts, toEnd)
  try {
    const minted = await control.mint(input.ask)
    if (minted.kind === 'password') return minted
    return { kind: 'certificate', keyPem: input.keyPem, certificatePem: certificatePem(minted.certificate) }
  } catch (error) {
    throw new UpstreamFailed('no_credential', `there is no way to sign in to the server: ${(error as Error).message}`)
  }
}

function mintInput(facts: DatabaseFacts, toEnd: boolean): { readonly ask: MintInput; readonly keyPem: string } {
  if (facts.credential === 'password') return { ask: { kind: 'password', authorizationId: facts.id }, keyPem: '' }
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const ask = { kind: 'x509-certificate', authorizationId: facts.id, publicKey: spki } as const
  return { ask: toEnd ? { ...ask, toEnd } : ask, keyPem }
}

interface LimitedTask extends Task {
  readonly ms: number
}

async function connectAndSignIn(
  facts: DatabaseFacts,
  credential: Credential,
  agreed: Agreed,
  task: LimitedTask,
): Promise<MysqlUpstream> {
  const { host, port, name } = facts.database
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS })
  // Whoever waits for it hears of it; between two of them nobody does.
  socket.on('error', () => {})
  const abort = (): void => void socket.destroy()
  const late = task.clock.after(task.ms, abort)
  task.signal.addEventListener('abort', abort, { once: true })
  try {
    if (task.signal.aborted) abort()
    await connected(socket, name)
    return await signInUpstream(socket, targetOf(facts), credential, agreed)
  } finally {
    late.cancel()
    task.signal.removeEventListener('abort', abort)
  }
}

function connected(socket: Socket, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (error?: Error): void =>
    reject(
      new UpstreamFailed(
        'target_unreachable',
        `${name} cannot be reached${error instanceof Error ? `: ${error.message}` : ''}`,
      ),
    )
  socket.once('connect', () => {
    socket.off('error', fail)
    socket.off('close', fail)
    resolve()
  })
  socket.once('error', fail)
  socket.once('close', fail)
  return promise
}

function targetOf({ database, tls, dbUser, dbName }: DatabaseFacts): MysqlTarget {
  return { host: database.host, tls, user: dbUser, database: dbName }
}
