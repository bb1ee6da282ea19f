// Reads a mail as strictly as nobody does: what a careful server would wonder at is an error here.

export interface ReadMail {
  /** Names in lower case; encoded words are decoded */
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
  readonly html: string
}

const ONCE = ['from', 'to', 'subject', 'date', 'message-id', 'mime-version', 'content-type', 'auto-submitted']
const KNOWN = new Set([...ONCE, 'in-reply-to', 'references', 'x-auto-response-suppress', 'content-transfer-encoding'])

export function readMail(raw: string): ReadMail {
  for (const line of raw.split('\r\n')) {
    if (Buffer.byteLength(line) > 998) throw new Error('a line of more than 998 bytes')
    if (line.includes('\n') || line.includes('\r')) throw new Error('a line end that is not CRLF')
  }
  const { headers, body } = splitPart(raw)
  for (const name of ONCE) if (!headers.has(name)) throw new Error(`no ${name}`)
  for (const name of headers.keys()) if (!KNOWN.has(name)) throw new Error(`an unexpected header ${name}`)
  const type = headers.get('content-type') ?? ''
  const boundary = /^multipart\/alternative;\s*boundary="([^"]+)"$/.exec(type)?.[1]
  if (boundary === undefined) throw new Error(`not plain text beside HTML: ${type}`)
  const parts = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => splitPart(part.replace(/^\r\n/, '')))
  const [plain, html, ...more] = parts
  if (!plain || !html || more.length > 0) throw new Error(`${parts.length} parts`)
  return { headers, text: decoded(plain, 'text/plain'), html: decoded(html, 'text/html') }
}

interface Part {
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

function splitPart(raw: string): Part {
  const end = raw.indexOf('\r\n\r\n')
  if (end < 0) throw new Error('no empty line behind the headers')
  const headers = new Map<string, string>()
  for (const line of raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')) {
    const found = /^([!-9;-~]+): ?(.*)$/.exec(line)
    if (!found) throw new Error(`no header: ${line}`)
    const name = (found[1] ?? '').toLowerCase()
    if (headers.has(name)) throw new Error(`${name} twice`)
    headers.set(name, decodedWords(found[2] ?? ''))
  }
  return { headers, body: raw.slice(end + 4) }
}

function decodedWords(text: string): string {
  return text
    .replace(/(=\?[^?]+\?[BQ]\?[^?]*\?=)\s+(?==\?)/gi, '$1')
    .replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_, how: string, word: string) =>
      how.toUpperCase() === 'B'
        ? Buffer.from(word, 'base64').toString('utf8')
        : quotedPrintable(word.replaceAll('_', ' ')),
    )
}

function decoded({ headers, body }: Part, type: string): string {
  const found = headers.get('content-type') ?? ''
  if (found.toLowerCase() !== `${type}; charset=utf-8`) throw new Error(`a part of ${found}`)
  const how = headers.get('content-transfer-encoding') ?? '7bit'
  if (how === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  if (how === 'quoted-printable') return quotedPrintable(body).replaceAll('\r\n', '\n')
  if (how === '7bit' && /^[\x00-\x7f]*$/.test(body)) return body.replaceAll('\r\n', '\n')
  throw new Error(`encoded as ${how}`)
}

function quotedPrintable(text: string): string {
  const bytes = text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
