import type { KeyObject } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  checkpointDigest,
  isSignedBy,
  type ParsedNote,
  parseNote,
  type SessionHead,
} from '../../formats/checkpoint-note.ts'
import type { Snapshot } from '../../foundation/database/open-snapshot.ts'
import { lostHistory, type LostHistory } from '../accept-rollback.ts'
import { readOutsideFile } from '../outside-file.ts'
import type { Problems } from './problems.ts'

interface Anchor {
  readonly where: string
  readonly head: string
  readonly time: number
}

export interface AnchorsInput {
  readonly snapshot: Snapshot
  readonly problems: Problems
  /** From outside the store; empty: none given */
  readonly trusted: readonly KeyObject[]
  /** Of the store's own authorities: say nothing against somebody who can write the store */
  readonly local: readonly KeyObject[]
  readonly outside: string | null
  readonly pause: () => Promise<void>
}

/** What the checkpoints say about the chain, and whether it keeps to it. */
export class Anchors {
  readonly #problems: Problems
  /** By size. Idle minutes repeat a size, so these are at most as many as the events. */
  readonly #table = new Map<number, Anchor>()
  readonly #outside = new Map<number, Anchor>()
  /** The last head that a checkpoint tells of each session file */
  readonly sessions = new Map<string, SessionHead>()
  checkpoints = 0
  outsideCheckpoints = 0
  lastTime: number | null = null
  origin: string | null = null
  /** The last checkpoint, of the table or outside, carries a trusted signature */
  lastIsTrusted = false
  /** Size of the last checkpoint outside */
  outsideSize: number | null = null
  #matched = 0

  constructor(problems: Problems) {
    this.#problems = problems
  }

  /** To be called with every head of the chain, in order. */
  reached(seq: number, head: string): void {
    for (const anchors of [this.#outside, this.#table]) {
      const anchor = anchors.get(seq)
      if (!anchor) continue
      anchors.delete(seq)
      if (anchor.head === head) this.#matched = seq
      else {
        const from = `event ${String(this.#matched + 1)}`
        const range = this.#matched + 1 === seq ? from : `something from ${from} to ${String(seq)}`
        this.#problems.add('history_rewritten', from, `${range} is not what ${anchor.where} was signed for`)
      }
    }
  }

  /** To be called after the last event: what is left tells of events that are not there. */
  finish(lastSeq: number): void {
    for (const [size, anchor] of [...this.#outside, ...this.#table].toSorted(([a], [b]) => a - b)) {
      if (size <= lastSeq) continue
      const from = `event ${String(lastSeq + 1)}`
      this.#problems.add('rolled_back', from, `${from} to ${String(size)}, which ${anchor.where} tells of, are missing`)
    }
  }

  noteTable(size: number, anchor: Anchor): void {
    this.#table.set(size, anchor)
  }

  noteOutside(size: number, anchor: Anchor): void {
    this.#outside.set(size, anchor)
  }

  /** Checkpoints of a history whose loss was accepted no longer bind what came after `kept`. */
  giveUpOutsideAfter(kept: number): void {
    for (const size of this.#outside.keys()) if (size > kept) this.#outside.delete(size)
  }
}

/** Reads and checks all checkpoints: the table's, then those outside. */
export async function readAnchors(input: AnchorsInput): Promise<Anchors> {
  const anchors = new Anchors(input.problems)
  const digests = await readTable(input, anchors)
  if (input.outside !== null) await readOutside(input, anchors, input.outside, digests)
  return anchors
}

async function readTable(input: AnchorsInput, anchors: Anchors): Promise<ReadonlySet<string>> {
  const { snapshot, problems } = input
  const digests = new Set<string>()
  let ordinal = 0
  let previous: string | null = null
  for await (const row of snapshot.rows('select ordinal, size, note from checkpoints order by ordinal')) {
    const where = `checkpoint ${String(row['ordinal'])}`
    if (row['ordinal'] !== ordinal + 1) {
      problems.add('checkpoint_missing', `checkpoint ${String(ordinal + 1)}`, `checkpoints before ${where} are missing`)
    }
    ordinal = Number(row['ordinal'])
    const note = readNote(input, anchors, String(row['note']), where)
    anchors.checkpoints += 1
    if (anchors.checkpoints % 100 === 0) await input.pause()
    if (!note || note.checkpoint.size !== row['size']) {
      if (note) problems.add('checkpoint_altered', where, `${where} has another size than its signed note`)
      previous = null
      continue
    }
    if (previous !== null && note.checkpoint.previous !== previous) {
      problems.add('checkpoint_missing', where, `${where} does not continue the checkpoint before it`)
    }
    previous = checkpointDigest(note.text)
    digests.add(previous)
    const { size, head, time, sessions } = note.checkpoint
    anchors.noteTable(size, { where: `${where} of ${instant(time)}`, head, time })
    for (const session of sessions) anchors.sessions.set(session.id, session)
  }
  return digests
}

async function readOutside(
  input: AnchorsInput,
  anchors: Anchors,
  file: string,
  inTable: ReadonlySet<string>,
): Promise<void> {
  if (!existsSync(file)) {
    input.problems.add('checkpoint_missing', file, 'the file of checkpoints outside is not there')
    return
  }
  const lost = await lostHistories(input.snapshot)
  let previous: string | null = null
  let last: { digest: string; where: string; vouching: readonly KeyObject[] } | null = null
  for await (const entry of readOutsideFile(file)) {
    // A line that a crash cut short was written again; one that somebody broke leaves a gap in `previous`.
    if (!entry) continue
    anchors.outsideCheckpoints += 1
    const where = `checkpoint ${String(entry.ordinal)} outside`
    const note = readNote(input, anchors, entry.note, where)
    if (anchors.outsideCheckpoints % 100 === 0) await input.pause()
    if (!note) {
      previous = null
      continue
    }
    const given = previous === null ? undefined : lost.get(previous)
    if (given) anchors.giveUpOutsideAfter(given.kept)
    else if (previous !== null && note.checkpoint.previous !== previous) {
      input.problems.add('checkpoint_missing', where, `${where} does not continue the one before it in the file`)
    }
    previous = checkpointDigest(note.text)
    last = {
      digest: previous,
      where: `${where} of ${instant(note.checkpoint.time)}`,
      vouching: [...input.trusted, ...input.local].filter((key) => isSignedBy(note, [key])),
    }
    const { size, head, time } = note.checkpoint
    anchors.noteOutside(size, { where: last.where, head, time })
    anchors.outsideSize = size
  }
  // Nothing signed comes after it: so the acceptance must be, by a key that vouched for what it gives up.
  const history = last ? lost.get(last.digest) : undefined
  const given = last && history?.isSignedBy(last.vouching) ? history : undefined
  if (last && !inTable.has(last.digest) && !given) {
    input.problems.add('checkpoint_missing', last.where, `${last.where} is not in the database`)
  }
  if (given) anchors.giveUpOutsideAfter(given.kept)
}

function readNote(input: AnchorsInput, anchors: Anchors, text: string, where: string): ParsedNote | null {
  let note: ParsedNote
  try {
    note = parseNote(text)
  } catch {
    input.problems.add('checkpoint_altered', where, `${where} is not a signed note any more`)
    return null
  }
  anchors.origin ??= note.checkpoint.origin
  if (note.checkpoint.origin !== anchors.origin) {
    input.problems.add('checkpoint_altered', where, `${where} is of another installation (${note.checkpoint.origin})`)
  }
  const trusted = isSignedBy(note, input.trusted)
  // Older checkpoints may be by a key since rotated: the chain that a trusted one vouches for tells of that key.
  if (!trusted && !isSignedBy(note, input.local)) {
    input.problems.add('wrong_key', where, `${where} is not signed by a key of this installation`)
    return null
  }
  anchors.lastIsTrusted = trusted
  anchors.lastTime = Math.max(anchors.lastTime ?? 0, note.checkpoint.time)
  return note
}

/** Given-up histories by the digest of their last checkpoint. */
async function lostHistories(snapshot: Snapshot): Promise<ReadonlyMap<string, LostHistory>> {
  const lost = new Map<string, LostHistory>()
  for await (const row of snapshot.rows("select details_json from audit_events where type = 'audit.accept_rollback'")) {
    const history = lostHistory(row['details_json'])
    if (history) lost.set(history.digest, history)
  }
  return lost
}

function instant(time: number): string {
  return new Date(time).toISOString()
}
