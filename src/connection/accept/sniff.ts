// Tells from its first bytes which protocol a client speaks on the shared port (DESIGN 2.3). Pure: bytes in, verdict out.

import { readClientHello } from './client-hello.ts'

export type Sniffed =
  | { readonly kind: 'need_more' }
  /** Starts with `SSH-`, or sent nothing and waits for our banner */
  | { readonly kind: 'ssh' }
  /** `CONNECT node:22 HTTP/1.1` in clear: answer 200, then SSH begins. `consumed` bytes belong to the preface. */
  | { readonly kind: 'ssh_connect'; readonly node: string; readonly consumed: number }
  /** int32 length first: SSLRequest, GSSENCRequest, CancelRequest or StartupMessage; nothing of it has been judged */
  | { readonly kind: 'postgres' }
  | { readonly kind: 'tls'; readonly serverName: string | null; readonly alpn: readonly string[] }
  /** Plain HTTP: gets one fixed answer */
  | { readonly kind: 'plain_http' }
  | { readonly kind: 'refused'; readonly why: string }

export const MAX_PREFACE = 1024
/** A ClientHello over this is refused (RFC 8446 lets it be larger; no client we know sends one). */
export const MAX_CLIENT_HELLO = 16 * 1024
export const SNIFF_DEADLINE_MS = 3000
/** After this much silence the client is taken for SSH that waits for the server's banner. */
export const SILENCE_MEANS_SSH_MS = 2000

const HTTP_METHODS = ['GET ', 'POST ', 'PUT ', 'HEAD ', 'DELETE ', 'OPTIONS ', 'PATCH ', 'TRACE ', 'PRI ']
const CONNECT_LINE = /^CONNECT ([A-Za-z0-9][A-Za-z0-9._-]{0,62}):22 HTTP\/1\.[01]$/

/** int32 length | int32 code: SSLRequest, GSSENCRequest, CancelRequest and StartupMessage 3.x all start with a length below 10,000. */
const looksLikePostgres = (bytes: Buffer): boolean => bytes.length >= 1 && bytes[0] === 0

export function sniff(bytes: Buffer): Sniffed {
  if (bytes.length === 0) return { kind: 'need_more' }
  if (bytes[0] === 0x16) return sniffTls(bytes)
  if (looksLikePostgres(bytes)) return { kind: 'postgres' }
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, MAX_PREFACE))
  if (text.startsWith('SSH-')) return { kind: 'ssh' }
  if ('SSH-'.startsWith(text) || 'CONNECT '.startsWith(text)) return { kind: 'need_more' }
  if (text.startsWith('CONNECT ')) return sniffConnect(text)
  if (HTTP_METHODS.some((method) => text.startsWith(method))) return { kind: 'plain_http' }
  if (HTTP_METHODS.some((method) => method.startsWith(text))) return { kind: 'need_more' }
  return { kind: 'refused', why: 'unknown protocol' }
}

function sniffTls(bytes: Buffer): Sniffed {
  const hello = readClientHello(bytes, MAX_CLIENT_HELLO)
  if (hello.kind === 'need_more') return hello
  if (hello.kind === 'malformed') return { kind: 'refused', why: hello.why }
  return { kind: 'tls', serverName: hello.serverName, alpn: hello.alpn }
}

function sniffConnect(text: string): Sniffed {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) {
    return text.length >= MAX_PREFACE ? { kind: 'refused', why: 'CONNECT preface too long' } : { kind: 'need_more' }
  }
  const match = CONNECT_LINE.exec(text.slice(0, text.indexOf('\r\n')))
  if (!match?.[1]) return { kind: 'refused', why: 'CONNECT must name NODE:22' }
  return { kind: 'ssh_connect', node: match[1].toLowerCase(), consumed: end + 4 }
}
