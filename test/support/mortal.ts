import type { NotifyPlane } from '../../src/contract/notify-plane.ts'
import type { Connector } from '../../src/notify/connector.ts'

/** A daemon that dies at its nth step: before or after each call that delivers. What it waits for then never comes. */
export class Mortal {
  dead = false
  /** What it died at */
  last = ''
  #left: number

  constructor(steps: number) {
    this.#left = steps
  }

  plane(plane: NotifyPlane): NotifyPlane {
    return {
      integrations: () => plane.integrations(),
      claimDeliveries: () => (this.dead ? new Promise(() => {}) : plane.claimDeliveries()),
      claimMessages: (order) => this.#around('claimMessages', () => plane.claimMessages(order)),
      storeDelivery: (results) => this.#around('storeDelivery', () => plane.storeDelivery(results)),
      sweep: () => plane.sweep(),
    }
  }

  connector(connector: Connector): Connector {
    const { find } = connector
    return {
      ...connector,
      deliver: (task, signal) => this.#around('deliver', () => connector.deliver(task, signal)),
      ...(find ? { find: (task, since, signal) => this.#around('find', () => find(task, since, signal)) } : {}),
    }
  }

  async #around<T>(what: string, work: () => Promise<T>): Promise<T> {
    await this.#step(`before ${what}`)
    const result = await work()
    await this.#step(`after ${what}`)
    return result
  }

  #step(what: string): Promise<void> {
    if (!this.dead && --this.#left <= 0) {
      this.dead = true
      this.last = what
    }
    return this.dead ? new Promise(() => {}) : Promise.resolve()
  }
}
