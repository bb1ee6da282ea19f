// The first TLS message, read without answering it (RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301).
//
// record:    u8 22 | u16 version | u16 length (<= 16384) | fragment            one ClientHello may span records
// handshake: u8 1  | u24 length  | u16 version | random 32 | <u8> session id | <u16> cipher suites | <u8> compressions | <u16> extensions
// extension: u16 type | <u16> data       0 = server_name, 16 = ALPN

export type ClientHello =
  | { readonly kind: 'need_more' }
  | { readonly kind: 'malformed'; readonly why: string }
  | { readonly kind: 'hello'; readonly serverName: string | null; readonly alpn: readonly string[] }

const malformed = (why: string): ClientHello => ({ kind: 'malformed', why })

class Short extends Error {}

class Cursor {
  #at = 0
  readonly #bytes: Buffer
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  get left(): number {
    return this.#bytes.length - this.#at
  }
  take(length: number): Buffer {
    if (length > this.left) throw new Short()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
  uint(width: number): number {
    return this.take(width).readUIntBE(0, width)
  }
  /** A vector: its length in `width` bytes, then that many bytes. */
  vector(width: number): Cursor {
    return new Cursor(this.take(this.uint(width)))
  }
  text(): string {
    return this.take(this.left).toString('latin1')
  }
}

/** Server name (lowercased; null when absent) and ALPN list of a ClientHello that may be split anywhere. */
export function readClientHello(bytes: Buffer, limit: number): ClientHello {
  const message = joinFragments(bytes, limit)
  if (!Buffer.isBuffer(message)) return message
  try {
    return readBody(new Cursor(message))
  } catch (error) {
    if (error instanceof Short) return malformed('ClientHello is cut short inside')
    throw error
  }
}

function joinFragments(bytes: Buffer, limit: number): Buffer | ClientHello {
  const parts: Buffer[] = []
  let have = 0
  for (let at = 0; ;) {
    if (have >= 4) {
      const joined = Buffer.concat(parts)
      if (joined[0] !== 1) return malformed('the first TLS message is no ClientHello')
      const length = joined.readUIntBE(1, 3)
      if (length > limit) return malformed(`ClientHello longer than ${limit} bytes`)
      if (have >= 4 + length) return joined.subarray(4, 4 + length)
    }
    if (bytes.length - at < 5)
      return bytes.length > limit + 1024 ? malformed('ClientHello too long') : { kind: 'need_more' }
    if (bytes[at] !== 22 || bytes[at + 1] !== 3) return malformed('no TLS handshake record')
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > 16384) return malformed('TLS record length out of range')
    const fragment = bytes.subarray(at + 5, at + 5 + length)
    parts.push(fragment)
    have += fragment.length
    if (fragment.length < length && have < 4) return { kind: 'need_more' }
    at += 5 + fragment.length
    if (parts.length > 64) return malformed('ClientHello in too many records')
  }
}

function readBody(body: Cursor): ClientHello {
  body.take(2 + 32)
  body.vector(1)
  body.vector(2)
  body.vector(1)
  let serverName: string | null = null
  let alpn: string[] = []
  if (body.left === 0) return { kind: 'hello', serverName, alpn }
  const extensions = body.vector(2)
  while (extensions.left > 0) {
    const type = extensions.uint(2)
    const data = extensions.vector(2)
    if (type === 0) serverName = readServerName(data)
    if (type === 16) alpn = readAlpn(data)
  }
  return { kind: 'hello', serverName, alpn }
}

function readServerName(data: Cursor): string | null {
  const list = data.vector(2)
  while (list.left > 0) {
    const type = list.uint(1)
    const name = list.vector(2).text()
    if (type === 0) return name.toLowerCase()
  }
  return null
}

function readAlpn(data: Cursor): string[] {
  const names: string[] = []
  const list = data.vector(2)
  while (list.left > 0) names.push(list.vector(1).text())
  return names
}
