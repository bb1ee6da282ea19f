import { z } from 'zod'

// One line of a played recording. `at` = milliseconds since the session's start, by the monotonic clock.
// `bytes` are base64: terminals may send anything, and nothing is lost to a character set.
const at = z.number()
const channel = z.int()
const number = z.int()

/** Of more than 64 KiB only the front is kept. */
const cut = {
  /** Bytes of the whole */
  length: z.int(),
  /** Of the whole; null: nothing was cut */
  sha256: z.string().nullable(),
}
const StatementText = z.object({
  text: z.string(),
  /** Not UTF-8: each byte outside ASCII stands as `\xHH`. */
  escaped: z.boolean(),
  ...cut,
})
const StatementParameters = z.object({
  /** As many as were kept; `hex`: sent in the database's binary form */
  values: z.array(z.union([z.string(), z.object({ hex: z.string() }), z.null()])),
  count: z.int(),
  ...cut,
})

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
  /** A session with a database. */
  z.object({
    kind: z.literal('database'),
    at,
    protocol: z.string(),
    database: z.string(),
    /** Within the server */
    user: z.string(),
    name: z.string(),
    recordsParameters: z.boolean(),
  }),
  /** Before it was passed on. `prepared`: the number of the statement that `execute` runs; null: not known. */
  z.object({
    kind: z.literal('statement'),
    at,
    number,
    command: z.enum(['query', 'prepare', 'execute', 'command']),
    prepared: z.int().nullable(),
    name: z.string(),
    text: StatementText.nullable(),
    parameters: StatementParameters.nullable(),
  }),
  z.object({
    kind: z.literal('result'),
    at,
    number,
    /** denied: not passed on. skipped: not run, one before it in its pipeline failed. suspended: it may go on. */
    outcome: z.enum(['ok', 'error', 'denied', 'skipped', 'suspended']),
    rows: z.int().nullable(),
    /** Milliseconds */
    took: z.number().nullable(),
    /** SQLSTATE or the server's error number */
    code: z.string(),
    text: z.string(),
  }),
  z.object({ kind: z.literal('end'), at, reason: z.string() }),
])
export type PlayedRecord = z.infer<typeof PlayedRecord>
