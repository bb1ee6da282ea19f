// The greeting names a thread id before the server behind is known, so it is one of ours. Ours have the two highest bits 01:
// positive in clients that keep it signed, and above what a server counts up to in years.
const OURS = 0x40000000
const LOW_BITS = 0x3fffffff

/** `random`: 32 bits */
export const threadIdFrom = (random: number): number => OURS + (random & LOW_BITS)

export const isOurThreadId = (id: number): boolean => id >= OURS && id <= OURS + LOW_BITS

export interface Kill {
  readonly threadId: number
  /** The same statement for another thread */
  readonly rewrittenTo: (threadId: number) => Buffer
}

/** KILL [HARD|SOFT] [CONNECTION|QUERY] id, as clients send it when somebody presses ^C. Others are left to the server. */
const KILL = /^(\s*kill\s+(?:(?:hard|soft)\s+)?(?:(?:connection|query)\s+)?)(\d{1,10})(\s*;?\s*)$/i
const LONGEST_KILL = 128

/** `command`: a COM_QUERY, command byte included. Null: no KILL of an id that is ours. */
export function readKill(command: Buffer): Kill | null {
  if (command.length > LONGEST_KILL || command.length < 6) return null
  const match = KILL.exec(command.toString('latin1', 1))
  const [, before = '', id = '', after = ''] = match ?? []
  if (!match || !isOurThreadId(Number(id))) return null
  return {
    threadId: Number(id),
    rewrittenTo: (threadId) =>
      Buffer.concat([command.subarray(0, 1), Buffer.from(`${before}${threadId}${after}`, 'latin1')]),
  }
}
