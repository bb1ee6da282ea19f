import type { SshPermissions } from '../../src/connection/authorization.ts'
import type { SessionRecordEvent } from '../../src/connection/control-plane.ts'
import type { Side } from '../../src/connection/relay/ssh/channel-rules.ts'
import { ConnectionRelay } from '../../src/connection/relay/ssh/connection-relay.ts'
import type { SessionObserver } from '../../src/connection/relay/ssh/relay-host.ts'
import { payload } from '../../src/connection/relay/ssh/wire/payload.ts'
import { FakeLeg } from './fake-ssh-leg.ts'
import { ManualClock } from './manual-clock.ts'

export const ALL_PERMISSIONS: SshPermissions = {
  pty: true,
  portForwarding: true,
  agentForwarding: true,
  forceCommand: null,
}
export const NO_FORWARDING: SshPermissions = { ...ALL_PERMISSIONS, portForwarding: false, agentForwarding: false }

/** Writes down what it is told of, as lines. `data` answers what `storing` makes. */
export class NotingObserver implements SessionObserver {
  readonly lines: string[] = []
  storing: () => Promise<void> | undefined = () => undefined

  channelOpened(channel: number, kind: string): void {
    this.lines.push(`channel ${channel} ${kind}`)
  }
  pty(channel: number, term: string, columns: number, rows: number): void {
    this.lines.push(`pty ${channel} ${term} ${columns}x${rows}`)
  }
  resize(channel: number, columns: number, rows: number): void {
    this.lines.push(`resize ${channel} ${columns}x${rows}`)
  }
  shell(channel: number): void {
    this.lines.push(`shell ${channel}`)
  }
  exec(channel: number, command: string): void {
    this.lines.push(`exec ${channel} ${command}`)
  }
  sftp(channel: number): void {
    this.lines.push(`sftp ${channel}`)
  }
  forward(channel: number, direction: string, target: string): void {
    this.lines.push(`forward ${channel} ${direction} ${target}`)
  }
  data(channel: number, stream: string, bytes: Buffer): Promise<void> | undefined {
    this.lines.push(`${stream} ${channel} ${bytes.toString('latin1')}`)
    return this.storing()
  }
  exit(channel: number, status: number | null, signal: string | null): void {
    this.lines.push(`exit ${channel} ${status ?? signal}`)
  }
  notice(channel: number, text: string): void {
    this.lines.push(`notice ${channel} ${text}`)
  }
  channelClosed(channel: number): void {
    this.lines.push(`closed ${channel}`)
  }
}

export interface Append {
  readonly event: SessionRecordEvent
  resolve(): void
  reject(error: Error): void
}

/** A relay between two fake legs, with an observer that takes notes and a store that answers when told. */
export class RelayPair {
  readonly client = new FakeLeg()
  readonly target = new FakeLeg()
  readonly clock = new ManualClock()
  readonly observer = new NotingObserver()
  readonly appends: Append[] = []
  readonly failures: { readonly error: Error; readonly side: Side | null }[] = []
  storesAtOnce = true
  active = 0
  readonly relay: ConnectionRelay

  constructor(
    permissions: SshPermissions = ALL_PERMISSIONS,
    channelsPerConnection = 10,
    /** Takes the place of the one that takes notes */
    observer?: SessionObserver,
  ) {
    this.relay = new ConnectionRelay({
      client: this.client,
      target: this.target,
      permissions,
      channelsPerConnection,
      clock: this.clock,
      host: {
        observer: observer ?? this.observer,
        append: (event) => {
          const { promise, resolve, reject } = Promise.withResolvers<void>()
          this.appends.push({ event: structuredClone(event), resolve, reject })
          if (this.storesAtOnce) resolve()
          return promise
        },
        active: () => void this.active++,
        fail: (error, side) => {
          this.failures.push({ error, side })
          this.relay.stop()
        },
      },
    })
    this.relay.start()
  }

  /** Opens a session: the client knows it as `clientId`, the target as `targetId`. Returns the relay's number. */
  openSession(clientId = 7, targetId = 42, window = 1_000_000, maxPacket = 32_768): number {
    this.client.receive(payload(90, 'session', clientId, window, maxPacket))
    const open = this.target.take()[0]
    if (!open) throw new Error('the open was not passed on')
    const id = open.readUInt32BE(5 + 'session'.length)
    this.target.receive(payload(91, id, targetId, 500_000, maxPacket))
    this.client.take()
    return id
  }

  /** The same with a program started in it. */
  async openStarted(request = 'shell', clientId = 7, targetId = 42): Promise<number> {
    const id = this.openSession(clientId, targetId)
    if (request === 'terminal') {
      this.client.receive(payload(98, id, 'pty-req', true, 'xterm', 80, 24, 0, 0, ''))
      this.target.receive(payload(99, id))
    }
    this.client.receive(payload(98, id, request === 'terminal' ? 'shell' : request, true))
    await settled()
    this.target.receive(payload(99, id))
    this.client.take()
    this.target.take()
    return id
  }
}

/** Lets everything run that waits for promises which are settled already. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}
