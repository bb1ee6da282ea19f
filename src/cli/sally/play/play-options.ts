import type { Clock } from '../../../foundation/clock.ts'

export interface PlayOptions {
  readonly format: 'text' | 'json' | 'asciicast'
  /** 2 = twice as fast */
  readonly speed: number
  /** Pauses longer than `maxIdleMs` take only that long. */
  readonly skipIdle: boolean
  readonly maxIdleMs: number
}

export const DEFAULT_PLAY: PlayOptions = { format: 'text', speed: 1, skipIdle: true, maxIdleMs: 1000 }

export interface PlayOutput {
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>
  /** Cells of the terminal; null when it is none: then nothing waits, and what would be shown is printed at once. */
  readonly size: { readonly columns: number; readonly rows: number } | null
  /** Keys the person presses, where there is a terminal to press them on; the answer stops listening. */
  readonly onKey?: (listener: (key: string) => void) => () => void
}

export interface PlayTask {
  readonly clock: Clock
  readonly signal: AbortSignal
}
