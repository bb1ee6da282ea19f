/** Bytes or text that do not have the form they must have. The message is for a log line and holds no input. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}
