import type { FromChat } from '../../contract/from-chat.ts'
import type { OpenIntegration } from '../../contract/notify-plane.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { Connector } from '../connector.ts'
import { keepListening } from './listeners.ts'

/** Makes the connector of an integration. Throws when its settings cannot be used. */
export type OpenConnector = (integration: OpenIntegration) => Connector

export interface ConnectorsParts {
  readonly open: OpenConnector
  readonly fromChat: FromChat
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

interface Opened {
  readonly integration: OpenIntegration
  readonly connector: Connector
  readonly stop: AbortController
  readonly listening: Promise<void>
}

/** One connector for each integration, made anew when its document changes. */
export class OpenConnectors {
  readonly #parts: ConnectorsParts
  readonly #opened = new Map<string, Opened>()
  readonly #ending = new Set<Promise<void>>()

  constructor(parts: ConnectorsParts) {
    this.#parts = parts
  }

  names(): string[] {
    return [...this.#opened.keys()]
  }

  find(name: string): Connector | undefined {
    return this.#opened.get(name)?.connector
  }

  /** Closes those that are gone or changed and opens the new ones. One that cannot be opened is left out, and said in the log. */
  show(integrations: readonly OpenIntegration[]): void {
    const wanted = new Map(integrations.map((integration) => [integration.name, integration]))
    for (const [name, { integration }] of this.#opened) {
      const now = wanted.get(name)
      if (now?.id !== integration.id || now.revision !== integration.revision) this.#close(name)
    }
    for (const integration of integrations) if (!this.#opened.has(integration.name)) this.#open(integration)
  }

  async closeAll(): Promise<void> {
    for (const name of this.names()) this.#close(name)
    await Promise.all(this.#ending)
  }

  #open(integration: OpenIntegration): void {
    const { open, log } = this.#parts
    const { name } = integration
    try {
      const connector = open(integration)
      const stop = new AbortController()
      const listening = connector.listen
        ? keepListening({ ...this.#parts, integration: name, connector }, stop.signal)
        : Promise.resolve()
      this.#opened.set(name, { integration, connector, stop, listening })
    } catch (error) {
      log.error(
        { integration: name, err: String(error) },
        'an integration cannot be opened: it sends and takes nothing',
      )
    }
  }

  #close(name: string): void {
    const opened = this.#opened.get(name)
    if (!opened) return
    this.#opened.delete(name)
    opened.stop.abort(new Error('the integration was changed or the daemon stops'))
    const ended = opened.listening.catch(() => {}).finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }
}
