import type { StatementBytes } from '../../../statement-recorder.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

/** Of parameters that were bound and whose portal is still open, of one connection */
const MOST_BOUND = 4 * 1024 * 1024
const MOST_PORTALS = 4096
/** Prepared statements whose number is kept; a client that prepares more is recorded with their names alone */
const MOST_PREPARED = 16_384

export interface Portal {
  /** Number of the statement that prepared it; null: not known */
  readonly prepared: number | null
  /** Of the prepared statement */
  readonly name: string
  readonly parameters: StatementBytes
  readonly bytes: number
  /** How many Syncs and simple queries were sent before it */
  readonly batch: number
}

/** What a name meant before it was given anew or closed; undefined: nothing. */
export interface Undo {
  readonly name: string
  readonly before: number | undefined
}

/**
 * What the names of a connection stand for on the server: names are given ahead of its answers, and taken back where it refuses
 * or skips, so that a record never shows another text than the one that ran.
 */
export class PreparedNames {
  readonly #prepared = new Map<string, number>()
  readonly #portals = new Map<string, Portal>()
  #boundBytes = 0

  prepare(name: string, number: number): Undo {
    const undo = { name, before: this.#prepared.get(name) }
    if (this.#prepared.size < MOST_PREPARED || undo.before !== undefined) this.#prepared.set(name, number)
    return undo
  }

  unprepare(name: string): Undo {
    const undo = { name, before: this.#prepared.get(name) }
    this.#prepared.delete(name)
    return undo
  }

  /** The newest first, where there are several. */
  takeBack({ name, before }: Undo): void {
    if (before === undefined) this.#prepared.delete(name)
    else this.#prepared.set(name, before)
  }

  /** Errors: ProtocolError when too many are open. */
  bind(name: string, prepared: string, parameters: StatementBytes, batch: number): void {
    const bytes = parameters instanceof Uint8Array ? parameters.length : parameters.bytes.length
    this.closePortal(name)
    this.#boundBytes += bytes
    const number = this.#prepared.get(prepared) ?? null
    this.#portals.set(name, { prepared: number, name: prepared, parameters, bytes, batch })
    if (this.#boundBytes > MOST_BOUND || this.#portals.size > MOST_PORTALS)
      throw new ProtocolError('too many portals are open', '53400')
  }

  portal(name: string): Portal | undefined {
    return this.#portals.get(name)
  }

  closePortal(name: string): void {
    const bound = this.#portals.get(name)
    if (!bound) return
    this.#boundBytes -= bound.bytes
    this.#portals.delete(name)
  }

  /** An error ends the transaction, and its portals with it: those that were bound in this batch or before. */
  closePortalsUntil(batch: number): void {
    if (this.#portals.size === 0) return
    for (const [name, portal] of this.#portals) if (portal.batch <= batch) this.closePortal(name)
  }
}
