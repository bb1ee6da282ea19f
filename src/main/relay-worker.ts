import { TlsToApi } from '../connection/accept/tls-to-api.ts'
import { SharedPortListener, type ListenerOptions } from '../connection/accept/listener.ts'
import type { AuthorizationFacts } from '../connection/authorization.ts'
import type { WorkerSettings } from '../connection/control-plane.ts'
import type { Listen, Port, ToControl, ToWorker } from '../connection/control-plane-ipc.ts'
import { ControlPlaneStub } from '../connection/control-plane-stub.ts'
import { MysqlRelay } from '../connection/relay/mysql/mysql-relay.ts'
import { PostgresRelay } from '../connection/relay/postgres/postgres-relay.ts'
import { SshRelay } from '../connection/relay/ssh/ssh-relay.ts'
import { sleep, systemClock } from '../foundation/clock.ts'
import { createLog } from '../foundation/log.ts'
import { CancelElsewhere } from './cancel-elsewhere.ts'

const isLevel = (text: string | undefined): text is 'debug' | 'info' | 'warn' | 'error' =>
  text === 'debug' || text === 'info' || text === 'warn' || text === 'error'

const LAST_WORDS_MS = 1000
const SHARED_BY_SMALL_BUFFERS = 4096

interface Front {
  readonly listeners: readonly SharedPortListener[]
  readonly postgres: PostgresRelay
  readonly mysql: MysqlRelay
  readonly relays: readonly { tellAndClose(text: string): Promise<void> }[]
}

/**
 * A relay worker: the listener, TLS, the parsers and the relays. It holds public keys, the proxy's own leaf keys and, per
 * session, one recording key; everything else it asks for.
 */
export function runRelayWorker(level: string | undefined): void {
  // What small buffers share lives as long as any of them; of Node's 64 KiB idle sessions would hold most.
  Buffer.poolSize = SHARED_BY_SMALL_BUFFERS
  const log = createLog(isLevel(level) ? level : 'info', { part: 'relay', pid: process.pid })
  const port = processPort()
  const control = new ControlPlaneStub(port, systemClock)
  const tls = new TlsToApi(systemClock, log)
  let settings: WorkerSettings | null = null
  let front: Front | null = null
  const cancelElsewhere = new CancelElsewhere(port, systemClock)

  const start = (first: WorkerSettings, listen: Listen): void => {
    const shared = {
      control,
      settings: () => settings ?? first,
      authorizationOf: <Facts extends AuthorizationFacts>(facts: Facts) => control.authorizationOf(facts),
      clock: systemClock,
      log,
    }
    const ssh = new SshRelay(shared)
    const mysql = new MysqlRelay({ ...shared, threadElsewhere: (digest) => cancelElsewhere.cancel(digest) })
    const postgres = new PostgresRelay({
      ...shared,
      cancelElsewhere: async (digest) => void (await cancelElsewhere.cancel(digest)),
    })
    const open = (protocols: ListenerOptions['protocols']): SharedPortListener =>
      new SharedPortListener({ limits: first.limits, clock: systemClock, log, protocols })
    const onePort = open({
      ssh: (arrival, node) => void ssh.handle({ ...arrival, node }),
      postgres: (arrival, isDirectTls) => void postgres.handle({ ...arrival, isDirectTls }),
      tls: (arrival, hello) => tls.serve(arrival, hello),
    })
    const mysqlPort = listen.mysql && open((arrival) => void mysql.handle(arrival))
    const relays = [ssh, mysql, postgres]
    front = { listeners: mysqlPort ? [onePort, mysqlPort] : [onePort], postgres, mysql, relays }
    Promise.all([
      listening(onePort, listen.shared),
      mysqlPort && listen.mysql && listening(mysqlPort, listen.mysql),
    ]).then(
      ([shared, mysql]) => port.send({ kind: 'listening', ports: { shared, mysql } }),
      (error: unknown) => {
        log.error({ err: (error as Error).message }, 'cannot listen')
        process.exit(1)
      },
    )
  }

  const stop = async (text: string, graceMs: number): Promise<void> => {
    const { listeners = [], relays = [] } = front ?? {}
    await Promise.all(listeners.map((listener) => listener.stop()))
    await Promise.race([Promise.all(relays.map((relay) => relay.tellAndClose(text))), sleep(systemClock, graceMs)])
    for (const listener of listeners) listener.destroyAll()
  }

  port.onMessage((message) => {
    if (message.kind === 'settings') {
      settings = message.settings
      tls.configure(message.settings)
      if (!front) start(message.settings, message.listen)
    }
    if (message.kind === 'cancel') {
      const { id, from, digest } = message
      const answer = (said: number): void => port.send({ kind: 'cancelled', id, from, said })
      const thread = front?.mysql.threadHere(digest) ?? null
      if (thread !== null) answer(thread)
      else void front?.postgres.cancelHere(digest)?.then(() => answer(0))
    }
    if (message.kind === 'stop') void stop(message.text, message.graceMs).then(() => process.exit(0))
  })
  // Without the control process nothing can be checked or stored: fail closed, and free the port for the next daemon.
  port.onClose(() => void stop('the control process of the proxy is gone', LAST_WORDS_MS).then(() => process.exit(1)))
  // The parent decides when we stop: a terminal's Ctrl-C reaches the whole process group.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  port.send({ kind: 'ready' })
}

function processPort(): Port<ToControl, ToWorker> {
  return {
    send: (message) => {
      if (process.connected) process.send?.(message)
    },
    onMessage: (handler) => void process.on('message', (message) => handler(message as ToWorker)),
    onClose: (handler) => void process.once('disconnect', handler),
  }
}

/** The port it listens on. Rejects where it cannot. */
function listening({ server }: SharedPortListener, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: false }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}
