import { setTimeout as pause } from 'node:timers/promises'

export interface Patience {
  /** Milliseconds. Generous: a slow machine is no failure. */
  readonly within?: number
  readonly every?: number
}

/** Waits until `look` gives something other than false, null or undefined, and gives it on. `what` names it in the failure. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { within = 30_000, every = 25 }: Patience = {},
): Promise<Exclude<T, false | null | undefined>> {
  const last = performance.now() + within
  for (;;) {
    const seen = await look()
    if (seen !== false && seen !== null && seen !== undefined) return seen as Exclude<T, false | null | undefined>
    if (performance.now() > last) throw new Error(`waited ${within} ms in vain for ${what}`)
    await pause(every)
  }
}
