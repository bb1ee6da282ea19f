import { TlsToApi } from '../connection/accept/tls-to-api.ts'
import { SharedPortListener } from '../connection/accept/listener.ts'
import type { WorkerSettings } from '../connection/control-plane.ts'
import type { Port, ToControl, ToWorker } from '../connection/control-plane-ipc.ts'
import { ControlPlaneStub } from '../connection/control-plane-stub.ts'
import { SshRelay } from '../connection/relay/ssh/ssh-relay.ts'
import { sleep, systemClock } from '../foundation/clock.ts'
import { createLog } from '../foundation/log.ts'

const isLevel = (text: string | undefined): text is 'debug' | 'info' | 'warn' | 'error' =>
  text === 'debug' || text === 'info' || text === 'warn' || text === 'error'

const LAST_WORDS_MS = 1000

/**
 * A relay worker: the listener, TLS, the parsers and the relays. It holds public keys, the proxy's own leaf keys and, per
 * session, one recording key; everything else it asks for.
 */
export function runRelayWorker(level: string | undefined): void {
  const log = createLog(isLevel(level) ? level : 'info', { part: 'relay', pid: process.pid })
  const port = processPort()
  const control = new ControlPlaneStub(port, systemClock)
  const tls = new TlsToApi(systemClock, log)
  let settings: WorkerSettings | null = null
  let listener: SharedPortListener | null = null
  let relay: SshRelay | null = null

  const start = (first: WorkerSettings, listen: { host: string; port: number }): void => {
    relay = new SshRelay({
      control,
      settings: () => settings ?? first,
      authorizationOf: (facts) => control.authorizationOf(facts),
      clock: systemClock,
      log,
    })
    listener = new SharedPortListener({
      limits: first.limits,
      clock: systemClock,
      log,
      protocols: {
        ssh: (arrival, node) => void relay?.handle({ ...arrival, node }),
        tls: (arrival) => tls.serve(arrival),
      },
    })
    listener.server.listen({ host: listen.host, port: listen.port, exclusive: false }, () => {
      const address = listener?.server.address()
      port.send({ kind: 'listening', port: typeof address === 'object' && address ? address.port : listen.port })
    })
    listener.server.once('error', (error) => {
      log.error({ err: error.message }, 'cannot listen')
      process.exit(1)
    })
  }

  const stop = async (text: string, graceMs: number): Promise<void> => {
    await listener?.stop()
    await Promise.race([relay?.tellAndClose(text), sleep(systemClock, graceMs)])
    listener?.destroyAll()
  }

  port.onMessage((message) => {
    if (message.kind === 'settings') {
      settings = message.settings
      tls.configure(message.settings)
      if (!listener) start(message.settings, message.listen)
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
