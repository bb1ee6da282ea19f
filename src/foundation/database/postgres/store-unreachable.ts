/** The server did not answer, or the connection to it broke. */
export class StoreUnreachable extends Error {
  override readonly name = 'StoreUnreachable'

  constructor(cause: unknown) {
    const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown }
    const what = typeof code === 'string' && code !== '' ? code : String(message ?? cause)
    super(`the database cannot be reached: ${what}`, { cause })
  }
}
