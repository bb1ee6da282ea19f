import { RecordingAltered } from '../formats/recording-chunk.ts'
import type { RecordingHead } from './chunk-file.ts'
import { readRecording } from './recording-reader.ts'
import { walkChunks, type WalkEnd } from './walk-chunks.ts'

/** A place in a file's chain, known from elsewhere. */
export interface KnownHead {
  readonly chunks: number
  /** Hex */
  readonly digest: string
}

export interface ExpectedRecording {
  /** `ses_...` */
  readonly session: string
  readonly state: 'open' | 'complete' | 'cut_short' | 'missing'
  /** What the session's row says of its end; null while it is open */
  readonly end: KnownHead | null
  /** What checkpoints say of the time before: each must lie on the chain. */
  readonly checkpoints: readonly KnownHead[]
}

export interface RecordingProblem {
  readonly kind: 'missing' | 'altered' | 'cut' | 'longer' | 'foreign'
  /** First wrong chunk; null: the whole file */
  readonly chunk: number | null
  readonly message: string
}

export interface RecordingVerdict {
  readonly problems: readonly RecordingProblem[]
  /** What is in the file; null when it has no whole header or is not there */
  readonly head: RecordingHead | null
}

/**
 * Follows a file's chain, without its key, and compares it with what the store and the checkpoints know. With the key each
 * chunk is opened as well. Errors: WrongRecordingKey, those of open(2) and read(2) but ENOENT.
 */
export async function verifyRecording(
  path: string,
  expected: ExpectedRecording,
  key: Uint8Array | null = null,
): Promise<RecordingVerdict> {
  const known = expected.end === null ? expected.checkpoints : [...expected.checkpoints, expected.end]
  const wanted = new Set(known.map((head) => head.chunks))
  const found = new Map<number, string>()
  try {
    const end = await walk(key === null ? digestsOf(path) : openedDigestsOf(path, key), wanted, found)
    return { problems: compare(expected, known, found, end), head: end.head }
  } catch (error) {
    if (error instanceof RecordingAltered) {
      return { problems: [{ kind: 'altered', chunk: error.chunk, message: error.message }], head: null }
    }
    if (!isAbsence(error)) throw error
    if (expected.state === 'missing') return { problems: [], head: null }
    return { problems: [{ kind: 'missing', chunk: null, message: 'the file is not there' }], head: null }
  }
}

interface ChainPlace {
  /** Chunks up to here */
  readonly count: number
  readonly digest: Buffer
}

async function* digestsOf(path: string): AsyncGenerator<ChainPlace, WalkEnd> {
  await using chunks = walkChunks(path)
  for (;;) {
    const next = await chunks.next()
    if (next.done) return next.value
    yield { count: next.value.header.index + 1, digest: next.value.digest }
  }
}

async function* openedDigestsOf(path: string, key: Uint8Array): AsyncGenerator<ChainPlace, WalkEnd> {
  await using chunks = readRecording(path, key)
  for (let count = 1; ; count++) {
    const next = await chunks.next()
    if (next.done) return next.value
    yield { count, digest: next.value.digest }
  }
}

async function walk(
  places: AsyncGenerator<ChainPlace, WalkEnd>,
  wanted: ReadonlySet<number>,
  found: Map<number, string>,
): Promise<WalkEnd> {
  for (;;) {
    const next = await places.next()
    if (next.done) return next.value
    const { count, digest } = next.value
    if (wanted.has(count)) found.set(count, digest.toString('hex'))
  }
}

function compare(
  expected: ExpectedRecording,
  known: readonly KnownHead[],
  found: ReadonlyMap<number, string>,
  end: WalkEnd,
): RecordingProblem[] {
  const chunks = end.head?.chunks ?? 0
  if (end.file !== null && end.file.session !== expected.session) {
    return [{ kind: 'foreign', chunk: null, message: `the file is that of ${end.file.session}` }]
  }
  const problems: RecordingProblem[] = []
  for (const head of known.toSorted((a, b) => a.chunks - b.chunks)) {
    if (head.chunks > chunks) {
      problems.push({ kind: 'cut', chunk: chunks, message: `it ends after ${chunks} of ${head.chunks} chunks` })
      break
    }
    // A head of no chunks is the file header's digest, which the first chunk binds.
    if (head.chunks > 0 && found.get(head.chunks) !== head.digest) {
      problems.push({ kind: 'altered', chunk: head.chunks - 1, message: `chunk ${head.chunks - 1} has another digest` })
      break
    }
  }
  if (expected.end !== null && chunks > expected.end.chunks) {
    problems.push({ kind: 'longer', chunk: expected.end.chunks, message: `chunks follow its end` })
  }
  if (expected.state === 'complete' && problems.length === 0 && (!end.closed || end.tornBytes > 0)) {
    problems.push({ kind: 'cut', chunk: chunks, message: 'it has no end though the session has one' })
  }
  return problems
}

export function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
