import type { Sallyport } from '../sallyport.ts'

export type Voter = 'bob' | 'carol'
/** Of a request's message: where it stands, all that it shows, what can be pressed, and what was said in its thread */
export interface Copy {
  readonly where: string
  readonly text: string
  readonly buttons: readonly string[]
  readonly thread: readonly string[]
}
/** `new`: a message that is not there yet; `change`: of one that is; `form`: a dialog that opens */
export type Call = 'new' | 'change' | 'form'

/**
 * A daemon and a product of chat in which alice asks for `pair`, which bob and carol give together, in their own direct messages
 * and in a channel. What people do resolves when the product was answered, or has given up; it never rejects.
 */
export interface ChatScene extends AsyncDisposable {
  readonly sallyport: Sallyport
  /** Sends again by itself what was not acknowledged. False: the person sees a failure, and does it again */
  readonly redelivers: boolean
  ask(reason: string): Promise<unknown>
  press(voter: Voter): Promise<unknown>
  /** The form that opened last for them: the same one however often */
  submit(voter: Voter, reason: string): Promise<unknown>
  hasForm(voter: Voter): boolean
  /** Such calls of the daemon are not answered any more, and not done either where `moment` is `before`. */
  hold(calls: readonly Call[], moment: 'before' | 'after'): void
  /** How many calls wait for nothing */
  held(): number
  /** What the daemon says of what people do is not heard. */
  deafen(): void
  /** Everything is answered and heard again. */
  heal(): void
  /** What people do arrives again. */
  connected(): Promise<void>
  copies(): readonly Copy[]
}
