import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { acceptedFrom, askOf, CAPABILITY, OFFERED } from './capabilities.ts'
import { publicKeyOfPassword } from './ed25519-password.ts'
import { readGreeting, writeGreeting } from './greeting.ts'
import { readHandshakeResponse, readSslRequest, writeHandshakeResponse, writeSslRequest } from './handshake-response.ts'
import { u32 } from './mysql-bytes.ts'
import { framed, PacketReader } from './packets.ts'
import { ProtocolError } from './protocol-error.ts'
import { LONGEST_TEXT, readError, writeError } from './replies.ts'
import { readSignInMessage, writeSwitch } from './sign-in-messages.ts'
import { answerTo, cachingSha2Answer, nativeAnswer } from './sign-in-methods.ts'

const scramble = Buffer.from('abcdefghijklmnopqrst')
const {
  PROTOCOL_41,
  SECURE_CONNECTION,
  PLUGIN_AUTH,
  CONNECT_WITH_DB,
  DEPRECATE_EOF,
  SESSION_TRACK,
  SSL,
  COMPRESS,
  LOCAL_FILES,
} = CAPABILITY

describe('what is written is read', () => {
  const text = (longest: number) => fc.string({ maxLength: longest }).filter((one) => !one.includes('\0'))

  test('a greeting', () => {
    const some = fc.record({
      version: fc.stringMatching(/^[ -~]{0,60}$/),
      threadId: fc.nat(),
      scramble: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      capabilities: fc.nat(),
      method: fc.constantFrom('mysql_native_password', 'caching_sha2_password'),
    })
    fc.assert(
      fc.property(some, (greeting) => {
        expect(readGreeting(writeGreeting(greeting))).toEqual(greeting)
      }),
      { numRuns: 100 },
    )
  })

  test('a sign-in', () => {
    const some = fc.record({
      collation: fc.nat(255),
      user: text(60),
      answer: fc.uint8Array({ maxLength: 255 }).map((bytes) => Buffer.from(bytes)),
      database: fc.option(text(60).filter((one) => one !== '')),
      method: fc.constantFrom('mysql_native_password', 'caching_sha2_password'),
    })
    const capabilities = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH
    fc.assert(
      fc.property(some, (given) => {
        const flags = given.database === null ? capabilities : capabilities | CONNECT_WITH_DB
        const written = writeHandshakeResponse({ ...given, capabilities: flags })
        expect(readHandshakeResponse(written)).toEqual({ ...given, capabilities: flags })
      }),
      { numRuns: 100 },
    )
  })

  test('an error, cut to whole characters of 511 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (said) => {
        const read = readError(writeError({ code: 1045, state: '28000' }, said))
        expect(read).toMatchObject({ code: 1045, state: '28000' })
        expect(said.startsWith(read.text)).toBe(true)
        expect(Buffer.byteLength(read.text)).toBeLessThan(LONGEST_TEXT)
        if (Buffer.byteLength(said) < LONGEST_TEXT) expect(read.text).toBe(said)
      }),
      { numRuns: 100 },
    )
  })

  test('an error from before the sign-in has no SQLSTATE', () => {
    expect(readError(Buffer.from('\xff\x10\x04Too many connections', 'latin1'))).toEqual({
      code: 1040,
      state: 'HY000',
      text: 'Too many connections',
    })
  })
})

describe('hostile sign-ins are refused, and nothing but ProtocolError is thrown', () => {
  const readers = { readGreeting, readHandshakeResponse, readSslRequest, readSignInMessage, readError }
  test.each(Object.entries(readers))('%s', (_name, read) => {
    const good = [
      writeGreeting({ version: '8', threadId: 1, scramble, capabilities: OFFERED, method: 'x' }),
      writeHandshakeResponse({
        capabilities: OFFERED,
        collation: 45,
        user: 'u',
        answer: scramble,
        database: 'd',
        method: 'm',
      }),
      writeSwitch('mysql_native_password', scramble),
    ]
    const bent = fc.tuple(fc.constantFrom(...good), fc.nat(), fc.nat(255), fc.nat()).map(([base, at, value, end]) => {
      const bytes = Buffer.from(base)
      bytes[at % bytes.length] = value
      return bytes.subarray(0, end % (bytes.length + 1))
    })
    fc.assert(
      fc.property(
        fc.oneof(
          bent,
          fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          try {
            read(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test.each([
    [
      'a sign-in in clear',
      () =>
        readSslRequest(
          writeHandshakeResponse({
            capabilities: PROTOCOL_41,
            collation: 1,
            user: 'u',
            answer: Buffer.alloc(0),
            database: null,
            method: '',
          }),
        ),
      /TLS with a client certificate is required/,
    ],
    [
      'TLS asked for with a user name behind',
      () => readSslRequest(Buffer.concat([writeSslRequest(PROTOCOL_41, 1), Buffer.from('root')])),
      /wrong length/,
    ],
    ['a client from before 4.1', () => acceptedFrom(SSL), /before 4\.1/],
    ['a server from before 4.1', () => askOf(0, OFFERED), /before 4\.1/],
    [
      'a server without DEPRECATE_EOF for a client with it',
      () => askOf(OFFERED & ~DEPRECATE_EOF, OFFERED),
      /too old: it lacks DEPRECATE_EOF/,
    ],
    ['a server that asks for a clear password', () => answerTo('mysql_clear_password', 'secret', scramble), /refused/],
    [
      'a server that asks for a dialog',
      () => answerTo('dialog\x1b[2J', 'secret', scramble),
      /dialog\?\[2J, which is refused/,
    ],
    ['the hash from before 4.1', () => readSignInMessage(Buffer.from([0xfe])), /before 4\.1/],
    ['a short scramble', () => answerTo('mysql_native_password', 'secret', Buffer.alloc(19)), /too short/],
    [
      'a user name that is not UTF-8',
      () => readHandshakeResponse(Buffer.concat([u32(PROTOCOL_41), Buffer.alloc(28), Buffer.from([0xff, 0, 0])])),
      /not UTF-8/,
    ],
  ])('%s', (_name, work, why) => {
    expect(work).toThrow(why)
  })

  test('a packet of the sign-in is refused before it is waited for', () => {
    const reader = new PacketReader(100)
    reader.push(Buffer.from([101, 0, 0, 0]))
    expect(() => reader.next()).toThrow('wrong length')
    const empty = new PacketReader(100)
    empty.push(framed(0))
    expect(() => empty.next()).toThrow('wrong length')
  })
})

describe('capabilities', () => {
  test('compression and files of the client are never offered, accepted or asked for', () => {
    for (const never of [COMPRESS, LOCAL_FILES]) {
      expect(OFFERED & never).toBe(0)
      expect(acceptedFrom(-1) & never).toBe(0)
      expect(askOf(-1, -1) & never).toBe(0)
    }
  })

  test('the server is asked for no more than the client wants and it has', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (client, server) => {
        const accepted = acceptedFrom(client | PROTOCOL_41)
        const both = server | PROTOCOL_41 | SECURE_CONNECTION | DEPRECATE_EOF | SESSION_TRACK
        const asked = askOf(both, accepted)
        expect(asked & (DEPRECATE_EOF | SESSION_TRACK)).toBe(accepted & (DEPRECATE_EOF | SESSION_TRACK))
        expect(asked & ~both & ~CAPABILITY.MYSQL).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
})

describe('answers to a scramble', () => {
  const sha = (algorithm: string, ...parts: Buffer[]): Buffer =>
    createHash(algorithm).update(Buffer.concat(parts)).digest()
  const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)))
  const password = Buffer.from('pässword')

  test('of mysql_native_password: a server that stores SHA1(SHA1(password)) finds the password in it', () => {
    const stored = sha('sha1', sha('sha1', password))
    const once = xor(nativeAnswer(password, scramble), sha('sha1', scramble, stored))
    expect(sha('sha1', once)).toEqual(stored)
  })

  test('of caching_sha2_password: a server that stores SHA256(SHA256(password)) finds it, too', () => {
    const stored = sha('sha256', sha('sha256', password))
    const once = xor(cachingSha2Answer(password, scramble), sha('sha256', stored, scramble))
    expect(sha('sha256', once)).toEqual(stored)
  })

  test("of ed25519: MariaDB's own vector", () => {
    // From the page of ed25519_password() in MariaDB's knowledge base
    expect(publicKeyOfPassword(Buffer.from('secret'))).toBe('ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY')
  })

  test('an empty password has an empty answer', () => {
    expect(answerTo('mysql_native_password', '', scramble)).toHaveLength(0)
    expect(answerTo('caching_sha2_password', '', scramble)).toHaveLength(0)
  })
})
