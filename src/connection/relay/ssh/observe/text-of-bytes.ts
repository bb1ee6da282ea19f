const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A name from the wire as text. Names are bytes: one that is not UTF-8 is shown with `\xHH` for each byte outside ASCII, and
 * what is behind `limit` bytes only as a count.
 */
export function textOfBytes(bytes: Uint8Array, limit = 4096): string {
  const rest = bytes.length - limit
  if (rest > 0) return `${textOfBytes(bytes.subarray(0, limit), limit)}... (${rest} more bytes)`
  try {
    return utf8.decode(bytes)
  } catch {
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
    ).join('')
  }
}
