/** Whose rights a run of changes may have altered. */
export class Touched {
  /** Of everybody, as far as is known */
  everybody = false
  readonly users = new Set<string>()
  /** Ids, of whatever kind */
  readonly resources = new Set<string>()

  /** Undefined: anybody's */
  user(id: string | undefined): void {
    if (id === undefined) this.everybody = true
    else this.users.add(id)
  }

  resource(id: string): void {
    this.resources.add(id)
  }
}
