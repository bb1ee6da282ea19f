import { Session, type Profiler } from 'node:inspector'

/** What has been reached so far, as V8 itself counts it: blocks of the code. */
export class Coverage {
  readonly #session = new Session()
  readonly #files: RegExp
  readonly #seen = new Set<string>()

  /** `files`: whose code counts */
  constructor(files: RegExp) {
    this.#files = files
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Blocks reached, over all runs */
  get size(): number {
    return this.#seen.size
  }

  /** Whether anything new was reached since the last time. `isKept`: from now on it is not new any more */
  isNew(isKept: boolean): boolean {
    let found = false
    for (const { url, functions } of this.#taken()) {
      if (!this.#files.test(url)) continue
      for (const { ranges } of functions)
        for (const { startOffset, endOffset, count } of ranges) {
          if (count === 0) continue
          const block = `${url}:${startOffset}-${endOffset}`
          if (this.#seen.has(block)) continue
          found = true
          if (isKept) this.#seen.add(block)
        }
    }
    return found
  }

  stop(): void {
    this.#session.disconnect()
  }

  #taken(): readonly Profiler.ScriptCoverage[] {
    let taken: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error
      taken = answer.result
    })
    return taken
  }
}
