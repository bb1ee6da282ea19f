/** What `work` gives; null where it refused its input as a parser may. Any other error is a broken promise. */
export function onlyProtocolErrors<T>(work: () => T): T | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && error.name === 'ProtocolError') return null
    throw error
  }
}
