/** Everything `audit verify` can find (docs/audit.md). */
export type ProblemKind =
  | 'database_damaged'
  | 'schema_altered'
  | 'event_edited'
  | 'event_missing'
  | 'event_inserted'
  | 'event_moved'
  | 'chain_forked'
  | 'details_removed'
  | 'head_altered'
  | 'tail_cut'
  | 'rolled_back'
  | 'history_rewritten'
  | 'checkpoint_altered'
  | 'checkpoint_missing'
  | 'wrong_key'
  | 'row_without_event'
  | 'row_altered'
  | 'row_missing'
  | 'row_left_over'
  | 'session_file_altered'
  | 'session_file_missing'

export interface Problem {
  readonly kind: string
  /** `event 7`, `users/usr_1`, `checkpoint 3`, `session ses_1` */
  readonly where: string
  readonly message: string
}

/** The first of each kind in full, the others counted. */
export class Problems {
  readonly #found = new Map<ProblemKind, Problem & { more: number }>()

  add(kind: ProblemKind, where: string, message: string): void {
    const first = this.#found.get(kind)
    if (first) first.more += 1
    else this.#found.set(kind, { kind, where, message, more: 0 })
  }

  list(): Problem[] {
    return [...this.#found.values()].map(({ kind, where, message, more }) => ({
      kind,
      where,
      message: more === 0 ? message : `${message} (and ${String(more)} more like it)`,
    }))
  }
}
