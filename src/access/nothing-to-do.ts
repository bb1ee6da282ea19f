/** Thrown inside a deed's work to leave without an event: what was asked for is so already. Carries the answer out. */
export class NothingToDo<T> extends Error {
  override readonly name = 'NothingToDo'
  readonly answer: T

  constructor(answer: T) {
    super('nothing to do')
    this.answer = answer
  }
}

/** The deed's answer, or the answer of a deed that had nothing to do. `T` is what both give. */
export async function orNothing<T>(deed: Promise<T>): Promise<T> {
  try {
    return await deed
  } catch (error) {
    if (error instanceof NothingToDo) return error.answer as T
    throw error
  }
}
