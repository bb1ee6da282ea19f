import { ProtocolError } from './wire/protocol-error.ts'

/** What came of a request that was passed on. `bytes` is the answer, valid only during the call. */
export type OnReply = (ok: boolean, bytes: Buffer) => void

type Pending =
  | { readonly kind: 'passed-on'; readonly onReply: OnReply | null }
  | { readonly kind: 'answered-here'; readonly reply: Buffer }

/**
 * Replies carry no number: the order of requests is all that tells them apart (RFC 4254 section 4). So what the proxy
 * answers itself waits here until the replies to everything asked before it have passed.
 */
export class ReplyQueue {
  readonly #most: number
  readonly #send: (reply: Buffer) => void
  #pending: Pending[] = []

  constructor(most: number, send: (reply: Buffer) => void) {
    this.#most = most
    this.#send = send
  }

  get length(): number {
    return this.#pending.length
  }

  /** A request goes to the other side, which will answer it. */
  passedOn(onReply: OnReply | null = null): void {
    this.#push({ kind: 'passed-on', onReply })
  }

  /** The proxy's own answer, sent as soon as it is its turn. */
  answer(reply: Buffer): void {
    if (this.#pending.length === 0) this.#send(reply)
    else this.#push({ kind: 'answered-here', reply })
  }

  /** A reply arrived from the other side. `pass` sends it on. */
  replied(ok: boolean, bytes: Buffer, pass: () => void): void {
    const first = this.#pending[0]
    if (first?.kind !== 'passed-on') throw new ProtocolError('a reply to nothing')
    this.#pending.shift()
    first.onReply?.(ok, bytes)
    pass()
    while (this.#pending[0]?.kind === 'answered-here') {
      const next = this.#pending.shift()
      if (next?.kind === 'answered-here') this.#send(next.reply)
    }
  }

  #push(pending: Pending): void {
    if (this.#pending.length >= this.#most) throw new ProtocolError('too many requests without an answer')
    this.#pending.push(pending)
  }
}
