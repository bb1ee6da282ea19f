import { z } from 'zod'

// One line of a played recording. `at` = milliseconds since the session's start, by the monotonic clock.
// `bytes` are base64: terminals may send anything, and nothing is lost to a character set.
const at = z.number()
const channel = z.int()
export const PlayedRecord = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('start'),
    at,
    session: z.string(),
    user: z.string(),
    node: z.string(),
    login: z.string(),
    time: z.int(),
  }),
  z.object({ kind: z.literal('channel'), at, channel, type: z.string() }),
  z.object({ kind: z.literal('pty'), at, channel, term: z.string(), columns: z.int(), rows: z.int() }),
  z.object({ kind: z.literal('shell'), at, channel }),
  z.object({ kind: z.literal('exec'), at, channel, command: z.string() }),
  z.object({ kind: z.literal('subsystem'), at, channel, name: z.string() }),
  z.object({ kind: z.literal('resize'), at, channel, columns: z.int(), rows: z.int() }),
  z.object({ kind: z.literal('output'), at, channel, stream: z.enum(['stdout', 'stderr']), bytes: z.string() }),
  z.object({ kind: z.literal('input'), at, channel, bytes: z.string() }),
  /** A stream without a terminal of which not everything was kept: its whole length and SHA-256. */
  z.object({
    kind: z.literal('stream'),
    at,
    channel,
    stream: z.enum(['stdin', 'stdout', 'stderr']),
    length: z.int(),
    sha256: z.string(),
  }),
  z.object({
    kind: z.literal('file'),
    at,
    channel,
    via: z.enum(['sftp', 'scp']),
    /** `open` is recorded before the file's first byte moves, `read` and `write` when it is closed. */
    operation: z.enum([
      'open',
      'read',
      'write',
      'remove',
      'rename',
      'mkdir',
      'rmdir',
      'symlink',
      'setstat',
      'list',
      'link',
      'copy',
      'extended',
    ]),
    path: z.string(),
    to: z.string().optional(),
    size: z.int().optional(),
    /** Of the bytes in order; null: not read or written in one run from the start. */
    sha256: z.string().nullable().optional(),
    ok: z.boolean(),
    error: z.string().optional(),
  }),
  z.object({ kind: z.literal('forward'), at, channel, direction: z.enum(['local', 'remote']), target: z.string() }),
  z.object({ kind: z.literal('exit'), at, channel, status: z.int().nullable(), signal: z.string().nullable() }),
  /** Text that the proxy itself put on the terminal. */
  z.object({ kind: z.literal('notice'), at, channel, text: z.string() }),
  /** Best effort only: bytes that were forwarded and could not be stored. */
  z.object({ kind: z.literal('gap'), at, bytes: z.int(), reason: z.string() }),
  /** The channel's protocol could not be followed from here on; its streams are kept as such. */
  z.object({ kind: z.literal('unparsed'), at, channel, reason: z.string() }),
  z.object({ kind: z.literal('end'), at, reason: z.string() }),
])
export type PlayedRecord = z.infer<typeof PlayedRecord>
