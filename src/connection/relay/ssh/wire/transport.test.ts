import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { publicKeyOf } from '../../../../formats/openssh/public-key.ts'
import { makeSignature } from '../../../../formats/openssh/signature.ts'
import { SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import type { HostIdentity, VerifyHostKey } from './key-exchange.ts'
import { DISCONNECT_REASON, MESSAGE } from './messages.ts'
import { clearSealer, bodyOf } from './packet-codec.ts'
import { ProtocolError } from './protocol-error.ts'
import { SshTransport } from './transport.ts'
import type { RekeyLimits, TransportOptions } from './transport.ts'

const hostKey = generateKeyPairSync('ed25519').privateKey
const shown = publicKeyOf(hostKey).blob
const identity: HostIdentity = {
  keys: [{ algorithm: 'ssh-ed25519', blob: shown }],
  sign: (algorithm, data) => Promise.resolve(makeSignature(hostKey, algorithm, data)),
}

type Ended = { error?: Error; peerText?: string }

/** One end: what it wrote and was told. */
class End {
  readonly transport: SshTransport
  readonly written: Buffer[] = []
  readonly packets: Buffer[] = []
  ended: Ended | null = null
  isReady = false
  roomAgain = 0
  onPacket: (payload: Buffer, frame: Buffer) => void = () => {}

  constructor(options: Partial<TransportOptions> & Pick<TransportOptions, 'side'>) {
    this.transport = new SshTransport(
      { software: 'Test', ...options },
      {
        write: (bytes) => this.written.push(bytes),
        onReady: () => (this.isReady = true),
        onPacket: (payload, frame) => {
          this.packets.push(Buffer.from(payload))
          this.onPacket(payload, frame)
        },
        onQueueEmpty: () => this.roomAgain++,
        onWantsInput: () => {},
        onEnd: (why) => (this.ended = why),
      },
    )
  }

  take(): Buffer {
    return Buffer.concat(this.written.splice(0))
  }

  payloads(): string[] {
    return this.packets.map((payload) => payload.toString('hex'))
  }
}

interface PairOptions {
  readonly rekey?: RekeyLimits
  readonly verifyHostKey?: VerifyHostKey
  readonly identity?: HostIdentity
}

function pair(options: PairOptions = {}): { client: End; server: End } {
  const { verifyHostKey = () => {}, identity: own = identity, ...rest } = options
  const client = new End({ side: { role: 'client', hostKeyAlgorithms: ['ssh-ed25519'], verifyHostKey }, ...rest })
  const server = new End({ side: { role: 'server', identity: own }, ...rest })
  client.transport.start()
  server.transport.start()
  return { client, server }
}

type Chunker = (bytes: Buffer) => Buffer[]
const whole: Chunker = (bytes) => [bytes]
const bytewise: Chunker = (bytes) => Array.from(bytes, (byte) => Buffer.of(byte))

/** Carries bytes both ways until both are silent. */
async function carry({ client, server }: { client: End; server: End }, chunker: Chunker = whole): Promise<void> {
  let silent = 0
  while (silent < 3) {
    const [up, down] = [client.take(), server.take()]
    silent = up.length + down.length > 0 ? 0 : silent + 1
    for (const chunk of up.length > 0 ? chunker(up) : []) server.transport.receive(chunk)
    for (const chunk of down.length > 0 ? chunker(down) : []) client.transport.receive(chunk)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function signedIn(options: PairOptions = {}): Promise<{ client: End; server: End }> {
  const both = pair(options)
  await carry(both)
  both.client.transport.authenticated()
  both.server.transport.authenticated()
  return both
}

const data = (text: string | Buffer): Buffer =>
  Buffer.from(new SshWriter().u8(MESSAGE.CHANNEL_DATA).u32(0).string(text).toBuffer())

describe('a client and a server of ours', () => {
  test.each([
    ['whole', whole],
    ['byte by byte', bytewise],
  ])('agree on keys when bytes come %s', async (_, chunker) => {
    const both = pair()
    await carry(both, chunker)
    const { client, server } = both
    expect([client.isReady, server.isReady]).toEqual([true, true])
    expect(client.transport.sessionId.equals(server.transport.sessionId)).toBe(true)
    expect(client.transport.sessionId).toHaveLength(32)
    expect(client.transport.negotiated?.kex).toBe('mlkem768x25519-sha256')
    expect(client.transport.peerVersion).toBe('SSH-2.0-Test')
    expect(client.transport.peerSignatureAlgorithms).toContain('rsa-sha2-512')
    expect(client.transport.hostKey.equals(shown)).toBe(true)
  })

  test('deliver every message once and in order, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 2000 })), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 }),
        async (messages, cuts) => {
          const both = await signedIn({ rekey: { bytes: 3000, packets: 7, age: 1e9 } })
          const sent: { up: string[]; down: string[] } = { up: [], down: [] }
          for (const [isUp, bytes] of messages) {
            const message = data(Buffer.from(bytes))
            ;(isUp ? both.client : both.server).transport.send(message)
            sent[isUp ? 'up' : 'down'].push(message.toString('hex'))
          }
          let turn = 0
          await carry(both, (bytes) => {
            const chunks: Buffer[] = []
            for (let at = 0; at < bytes.length;) {
              const size = cuts[turn++ % cuts.length] ?? 1
              chunks.push(bytes.subarray(at, at + size))
              at += size
            }
            return chunks
          })
          expect(both.server.payloads()).toEqual(sent.up)
          expect(both.client.payloads()).toEqual(sent.down)
          expect([both.client.ended, both.server.ended]).toEqual([null, null])
        },
      ),
      { numRuns: 40 },
    )
  })

  test('wait for a host key signature that is made elsewhere', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const slow: HostIdentity = { ...identity, sign: (a, d) => promise.then(() => identity.sign(a, d)) }
    const both = pair({ identity: slow })
    await carry(both)
    expect(both.server.transport.wantsInput).toBe(false)
    resolve()
    await carry(both)
    expect(both.client.isReady).toBe(true)
  })

  test('end with the reason when the host key is refused, and nothing secret was sent', async () => {
    const refusal = new Error('not the key on record')
    const both = pair({ verifyHostKey: () => Promise.reject(refusal) })
    await carry(both)
    expect(both.client.ended?.error).toBe(refusal)
    expect(both.server.isReady).toBe(false)
    expect(both.server.ended?.peerText).toBe('key exchange failed')
  })

  test('end when the host key signature is by another key, without asking about the key', async () => {
    const other = generateKeyPairSync('ed25519').privateKey
    const liar: HostIdentity = { ...identity, sign: (a, d) => Promise.resolve(makeSignature(other, a, d)) }
    let isAsked = false
    const both = pair({ identity: liar, verifyHostKey: () => void (isAsked = true) })
    await carry(both)
    expect(both.client.ended?.error?.message).toBe('host key signature is wrong')
    expect(isAsked).toBe(false)
  })

  test('a failed signer ends the connection and tells the peer nothing of why', async () => {
    const both = pair({ identity: { ...identity, sign: () => Promise.reject(new Error('vault at 10.1.2.3 is away')) } })
    await carry(both)
    expect(both.server.ended?.error?.message).toContain('vault')
    expect(both.client.ended?.peerText).toBe('key exchange failed')
  })

  test('a signature that comes after the end is not sent', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const both = pair({ identity: { ...identity, sign: (a, d) => promise.then(() => identity.sign(a, d)) } })
    await carry(both)
    both.server.transport.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'enough')
    both.server.take()
    resolve()
    await carry(both)
    expect(both.server.take()).toHaveLength(0)
  })

  test('what is forwarded arrives as it was patched, during new keys too', async () => {
    const [left, right] = [await signedIn(), await signedIn()]
    left.server.onPacket = (payload, frame) => {
      payload.writeUInt32BE(77, 1)
      right.client.transport.forward(payload, frame)
    }
    left.client.transport.send(data('first'))
    await carry(left)
    right.client.transport.rekey()
    left.client.transport.send(data('second'))
    await carry(left)
    await carry(right)
    const expected = ['first', 'second'].map((text) => {
      const message = data(text)
      message.writeUInt32BE(77, 1)
      return message.toString('hex')
    })
    expect(right.server.payloads()).toEqual(expected)
  })
})

describe('new keys', () => {
  test('are agreed when both ask at once', async () => {
    const both = await signedIn()
    both.client.transport.rekey()
    both.server.transport.rekey()
    both.client.transport.send(data('up'))
    both.server.transport.send(data('down'))
    await carry(both, bytewise)
    expect(both.server.payloads()).toEqual([data('up').toString('hex')])
    expect(both.client.payloads()).toEqual([data('down').toString('hex')])
    expect(both.client.transport.isExchanging).toBe(false)
  })

  test('are asked for after an hour and not before', async () => {
    const { client } = await signedIn()
    client.transport.tick(1000)
    client.transport.tick(3_600_900)
    expect(client.transport.isExchanging).toBe(false)
    client.transport.tick(3_601_100)
    expect(client.transport.isExchanging).toBe(true)
  })

  test('that do not come within a minute end the connection', async () => {
    const { client } = await signedIn()
    client.transport.rekey()
    client.transport.tick(0)
    client.transport.tick(60_000)
    expect(client.ended).toBeNull()
    client.transport.tick(60_001)
    expect(client.ended?.error?.message).toBe('key exchange takes too long')
  })

  test('hold back messages up to a limit: first send says no, then the connection ends', async () => {
    const { client } = await signedIn()
    client.transport.rekey()
    const big = data(randomBytes(32_000))
    let sends = 0
    while (client.transport.send(big)) sends++
    expect(sends).toBeGreaterThan(3)
    expect(sends).toBeLessThan(10)
    for (let i = 0; i < 300 && !client.ended; i++) client.transport.send(big)
    expect(client.ended?.error?.message).toBe('too much to send during a key exchange')
  })

  test('say when there is room again', async () => {
    const both = await signedIn()
    both.client.transport.rekey()
    while (both.client.transport.send(data(randomBytes(32_000))));
    await carry(both)
    expect(both.client.roomAgain).toBe(1)
    expect(both.client.transport.send(data('x'))).toBe(true)
  })

  test('come while we are paused, and what came meanwhile is delivered afterwards in order', async () => {
    const both = await signedIn()
    both.client.transport.rekey()
    both.client.transport.pause()
    for (const text of ['a', 'b', 'c']) both.server.transport.send(data(text))
    await carry(both)
    expect(both.client.packets).toHaveLength(0)
    expect(both.client.transport.isExchanging).toBe(false)
    expect(both.client.transport.wantsInput).toBe(false)
    both.client.onPacket = () => both.client.transport.pause()
    for (const count of [1, 2, 3]) {
      both.client.transport.resume()
      expect(both.client.packets).toHaveLength(count)
    }
    expect(both.client.payloads()).toEqual(['a', 'b', 'c'].map((text) => data(text).toString('hex')))
  })

  test('are refused before sign-in', async () => {
    const both = pair()
    await carry(both)
    both.client.transport.authenticated()
    both.client.transport.rekey()
    await carry(both)
    expect(both.server.ended?.error?.message).toBe('key exchange before sign-in is over')
  })

  test('for another host key end the connection', async () => {
    const keys = [{ algorithm: 'ssh-ed25519', blob: shown }]
    const changing = { keys, sign: identity.sign }
    const both = await signedIn({ identity: changing })
    const other = generateKeyPairSync('ed25519').privateKey
    changing.keys = [{ algorithm: 'ssh-ed25519', blob: publicKeyOf(other).blob }]
    changing.sign = (algorithm, bytes) => Promise.resolve(makeSignature(other, algorithm, bytes))
    both.client.transport.rekey()
    await carry(both)
    expect(both.client.ended?.error?.message).toBe('host key changed within a connection')
  })
})

/** A frame in clear, as before the first NEWKEYS. */
function clear(...payload: readonly number[]): Buffer {
  return clearSealer.seal(bodyOf(Buffer.from(payload), false))
}

function kexInit(over: { kex?: string; ciphers?: string; compression?: string; follows?: boolean } = {}): Buffer {
  const { kex = 'curve25519-sha256,kex-strict-c-v00@openssh.com', ciphers = 'aes128-gcm@openssh.com' } = over
  const writer = new SshWriter().u8(MESSAGE.KEXINIT).raw(Buffer.alloc(16)).string(kex).string('ssh-ed25519')
  writer.string(ciphers).string(ciphers).string('').string('')
  const { compression = 'none', follows = false } = over
  writer.string(compression).string(compression).string('').string('').bool(follows).u32(0)
  return clearSealer.seal(bodyOf(writer.toBuffer(), false))
}

function length(value: number): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

const IDENT = Buffer.from('SSH-2.0-hostile\r\n')
const point = (): Buffer =>
  generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
const value = (bytes: Buffer): Buffer =>
  clearSealer.seal(bodyOf(new SshWriter().u8(MESSAGE.KEX_ECDH_INIT).string(bytes).toBuffer(), false))

function padded(padding: number): Buffer {
  const body = Buffer.alloc(12)
  body[0] = padding
  body[1] = MESSAGE.KEXINIT
  return clearSealer.seal(body)
}

const hostile: readonly (readonly [string, readonly Buffer[], RegExp])[] = [
  ['another protocol', [Buffer.from('GET / HTTP/1.1\r\n')], /no SSH identification/],
  ['SSH 1', [Buffer.from('SSH-1.5-old\r\n')], /only SSH 2.0/],
  ['SSH 1.99', [Buffer.from('SSH-1.99-old\r\n')], /only SSH 2.0/],
  ['an identification without software', [Buffer.from('SSH-2.0-\r\n')], /only SSH 2.0/],
  ['an identification of 256 bytes', [Buffer.from(`SSH-2.0-${'x'.repeat(246)}\r\n`)], /identification too long/],
  ['an identification without end', [Buffer.from(`SSH-2.0-${'x'.repeat(9000)}`)], /identification too long/],
  ['an identification with a NUL', [Buffer.from('SSH-2.0-a\0b\r\n')], /odd character/],
  ['an identification with an escape', [Buffer.from('SSH-2.0-\x1b[31m\r\n')], /odd character/],
  ['length 0', [IDENT, length(0)], /packet length/],
  ['length 4', [IDENT, length(4)], /packet length/],
  ['length 2^32-1', [IDENT, length(0xffff_ffff)], /packet length/],
  ['length 256 MiB', [IDENT, length(2 ** 28 - 4)], /packet length/],
  ['a length over 35000', [IDENT, length(35_004)], /packet length/],
  ['a length off the block size', [IDENT, length(13)], /packet length/],
  ['padding of 0', [IDENT, padded(0)], /bad padding/],
  ['padding of 3', [IDENT, padded(3)], /bad padding/],
  ['padding that leaves no payload', [IDENT, padded(11)], /bad padding/],
  ['padding longer than the packet', [IDENT, padded(255)], /bad padding/],
  ['IGNORE before KEXINIT', [IDENT, clear(MESSAGE.IGNORE, 0, 0, 0, 0)], /message 2 at the wrong place/],
  ['DEBUG after KEXINIT', [IDENT, kexInit(), clear(MESSAGE.DEBUG, 0)], /message 4 at the wrong place/],
  ['an unknown message after KEXINIT', [IDENT, kexInit(), clear(19)], /message 19 at the wrong place/],
  ['NEWKEYS before the exchange', [IDENT, kexInit(), clear(MESSAGE.NEWKEYS)], /message 21 at the wrong place/],
  ['KEXINIT twice', [IDENT, kexInit(), kexInit()], /message 20 at the wrong place/],
  ['the value before KEXINIT', [IDENT, value(point())], /message 30 at the wrong place/],
  ["the server's reply", [IDENT, kexInit(), clear(MESSAGE.KEX_ECDH_REPLY)], /message 31 at the wrong place/],
  ['a sign-in in clear', [IDENT, kexInit(), clear(MESSAGE.USERAUTH_REQUEST)], /message 50 at the wrong place/],
  ['a channel in clear', [IDENT, clear(MESSAGE.CHANNEL_OPEN)], /message 90 at the wrong place/],
  ['no strict key exchange', [IDENT, kexInit({ kex: 'curve25519-sha256' })], /strict key exchange is required/],
  [
    "the server's mark of strictness",
    [IDENT, kexInit({ kex: 'curve25519-sha256,kex-strict-s-v00@openssh.com' })],
    /strict/,
  ],
  [
    'only marks for kex',
    [IDENT, kexInit({ kex: 'kex-strict-c-v00@openssh.com,kex-strict-s-v00@openssh.com' })],
    /no key exchange/,
  ],
  [
    'only old kex',
    [IDENT, kexInit({ kex: 'diffie-hellman-group14-sha1,kex-strict-c-v00@openssh.com' })],
    /no key exchange/,
  ],
  ['only chacha20', [IDENT, kexInit({ ciphers: 'chacha20-poly1305@openssh.com' })], /no cipher/],
  ['no cipher at all', [IDENT, kexInit({ ciphers: 'none' })], /no cipher/],
  ['a name from Object.prototype', [IDENT, kexInit({ ciphers: 'constructor,toString' })], /no cipher/],
  ['only zlib', [IDENT, kexInit({ compression: 'zlib@openssh.com' })], /no compression/],
  ['a KEXINIT cut short', [IDENT, clear(MESSAGE.KEXINIT, ...Array.from({ length: 30 }, () => 0))], /malformed message/],
  ['an empty name', [IDENT, kexInit({ kex: 'curve25519-sha256,,x' })], /empty name/],
  ['a value of 31 bytes', [IDENT, kexInit(), value(point().subarray(1))], /bad key exchange value/],
  ['a value of zeros', [IDENT, kexInit(), value(Buffer.alloc(32))], /bad key exchange value/],
  [
    'a point of small order',
    [IDENT, kexInit(), value(Buffer.concat([Buffer.of(1), Buffer.alloc(31)]))],
    /bad key exchange value/,
  ],
  ['a value too long', [IDENT, kexInit(), value(Buffer.alloc(2000))], /malformed message: string too long/],
]

describe('a server of ours', () => {
  test.each(hostile)('ends the connection on %s', async (_, sent, message) => {
    for (const chunker of [whole, bytewise]) {
      const server = new End({ side: { role: 'server', identity } })
      server.transport.start()
      for (const chunk of chunker(Buffer.concat([...sent]))) server.transport.receive(chunk)
      await new Promise((resolve) => setImmediate(resolve))
      expect(server.ended?.error).toBeInstanceOf(ProtocolError)
      expect(server.ended?.error?.message).toMatch(message)
      expect(server.isReady).toBe(false)
      const [before] = [server.take().length]
      server.transport.receive(Buffer.concat([IDENT, kexInit()]))
      expect(server.transport.send(data('x'))).toBe(false)
      expect([before > 0, server.take().length]).toEqual([true, 0])
    }
  })

  test('skips the packet of a wrong guess, and only that', async () => {
    const kex = 'diffie-hellman-group14-sha256,curve25519-sha256,kex-strict-c-v00@openssh.com'
    const server = new End({ side: { role: 'server', identity } })
    server.transport.start()
    const guess = kexInit({ kex, follows: true })
    server.transport.receive(Buffer.concat([IDENT, guess, value(randomBytes(300)), value(point())]))
    await expect.poll(() => Buffer.concat(server.written).includes(shown)).toBe(true)
    expect(server.ended).toBeNull()
  })

  test('does not crash on random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 10 }), fc.boolean(), (chunks, hasIdent) => {
        const server = new End({ side: { role: 'server', identity } })
        server.transport.start()
        if (hasIdent) server.transport.receive(IDENT)
        for (const chunk of chunks) server.transport.receive(Buffer.from(chunk))
        expect(server.isReady).toBe(false)
      }),
      { numRuns: 300 },
    )
  })

  test('does not crash on a first exchange with one byte changed, and never shares keys over it', async () => {
    const record = pair()
    const up: Buffer[] = []
    await carry(record, (bytes) => {
      up.push(bytes)
      return [bytes]
    })
    const stream = Buffer.concat(up)
    await fc.assert(
      fc.asyncProperty(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bytes = Buffer.from(stream)
        bytes[at] = (bytes[at] ?? 0) ^ change
        const server = new End({ side: { role: 'server', identity } })
        server.transport.start()
        server.transport.receive(bytes)
        await new Promise((resolve) => setImmediate(resolve))
        // The rest of a recorded stream never fits the fresh keys, whether or not the change was noticed.
        expect(server.packets).toHaveLength(0)
      }),
      { numRuns: 60 },
    )
  })
})

describe('after the key exchange', () => {
  test('a changed bit anywhere in a packet ends the connection, and nothing of it is delivered', async () => {
    for (const at of [4, 5, 20, -17, -16, -1]) {
      const both = await signedIn()
      both.client.transport.send(data('hello, hello, hello'))
      const frame = both.client.take()
      const where = at < 0 ? frame.length + at : at
      frame[where] = (frame[where] ?? 0) ^ 1
      both.server.transport.receive(frame)
      expect(both.server.ended?.error).toMatchObject({ reason: DISCONNECT_REASON.MAC_ERROR })
      expect(both.server.packets).toHaveLength(0)
      await carry(both)
      expect(both.client.ended?.peerText).toBe('packet is not authentic')
    }
  })

  test('a packet repeated or left out ends the connection', async () => {
    const repeated = await signedIn()
    repeated.client.transport.send(data('once'))
    const frame = repeated.client.take()
    repeated.server.transport.receive(Buffer.concat([frame, frame]))
    expect(repeated.server.packets).toHaveLength(1)
    expect(repeated.server.ended?.error).toMatchObject({ reason: DISCONNECT_REASON.MAC_ERROR })

    const cut = await signedIn()
    cut.client.transport.send(data('lost'))
    cut.client.take()
    cut.client.transport.send(data('second'))
    cut.server.transport.receive(cut.client.take())
    expect(cut.server.packets).toHaveLength(0)
    expect(cut.server.ended?.error).toMatchObject({ reason: DISCONNECT_REASON.MAC_ERROR })
  })

  test.each([0, 12, 2 ** 32 - 1, 2 ** 28, 262_144 + 1040])('length %d ends the connection', async (size) => {
    const { server } = await signedIn()
    server.transport.receive(length(size))
    expect(server.ended?.error?.message).toBe('bad packet length')
  })

  test('messages from 80 on are refused before sign-in', async () => {
    for (const type of [MESSAGE.GLOBAL_REQUEST, MESSAGE.CHANNEL_OPEN, MESSAGE.PING, 255]) {
      const both = pair()
      await carry(both)
      both.client.transport.send(Buffer.of(type, 0, 0, 0, 0))
      await carry(both)
      expect(both.server.ended?.error?.message).toBe(`message ${type} before sign-in`)
      expect(both.server.packets).toHaveLength(0)
    }
  })

  test('big packets are refused before sign-in and taken after it', async () => {
    const both = pair()
    await carry(both)
    both.client.transport.send(Buffer.alloc(40_000, MESSAGE.USERAUTH_REQUEST))
    await carry(both)
    expect(both.server.ended?.error?.message).toBe('bad packet length')
    const later = await signedIn()
    later.client.transport.send(data(Buffer.alloc(260_000)))
    await carry(later)
    expect(later.server.packets[0]).toHaveLength(260_009)
  })

  test('IGNORE, DEBUG and UNIMPLEMENTED are dropped, and what we do not know is answered with its number', async () => {
    const both = await signedIn()
    for (const type of [MESSAGE.IGNORE, MESSAGE.DEBUG, MESSAGE.UNIMPLEMENTED])
      both.client.transport.send(Buffer.of(type))
    const answers: Buffer[] = []
    both.client.transport.send(Buffer.of(9))
    await carry(both, (bytes) => {
      answers.push(bytes)
      return [bytes]
    })
    expect(both.server.ended).toBeNull()
    expect(both.server.packets).toHaveLength(0)
    // Ours up, theirs down, and the answer makes no further noise.
    expect(answers).toHaveLength(2)
  })

  test('PING is answered with its data, and not with more than a kibibyte', async () => {
    const both = await signedIn()
    both.client.transport.send(new SshWriter().u8(MESSAGE.PING).string('now').toBuffer())
    await carry(both)
    expect(both.client.payloads()).toEqual([`${MESSAGE.PONG.toString(16)}000000036e6f77`])
    both.client.transport.send(new SshWriter().u8(MESSAGE.PING).string(Buffer.alloc(1025)).toBuffer())
    await carry(both)
    expect(both.server.ended?.error?.message).toContain('malformed')
  })

  test.each([21, 30, 31, 49])('message %d outside a key exchange ends the connection', async (type) => {
    const both = await signedIn()
    both.client.transport.send(Buffer.of(type))
    await carry(both)
    expect(both.server.ended?.error?.message).toBe(`message ${type} outside a key exchange`)
  })

  test('an exception in the handler ends the connection and its text stays here', async () => {
    const both = await signedIn()
    both.server.onPacket = () => {
      throw new TypeError('secret of the house')
    }
    both.client.transport.send(data('x'))
    await carry(both)
    expect(both.server.ended?.error).toBeInstanceOf(TypeError)
    expect(both.client.ended?.peerText).toBe('internal error')
  })

  test("the peer's last words are told without control characters", async () => {
    const both = await signedIn()
    both.client.transport.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'bye\u001b[2J\n\u202ethere')
    await carry(both)
    expect(both.server.ended).toEqual({ peerText: 'bye [2J  there' })
    expect(both.client.ended).toEqual({})
  })

  test('an end without words is an orderly end, but not in the key exchange', async () => {
    const both = await signedIn()
    both.server.transport.receiveEnd()
    expect(both.server.ended).toEqual({})
    const early = pair()
    early.server.transport.receiveEnd()
    expect(early.server.ended?.error).toBeInstanceOf(ProtocolError)
  })
})

describe('a client of ours', () => {
  test('skips lines before the identification, but not many', async () => {
    const { client, server } = pair()
    client.transport.receive(Buffer.from('Welcome\r\nSS\r\n'))
    await carry({ client, server })
    expect(client.isReady).toBe(true)
    const tired = pair().client
    for (let i = 0; i < 200; i++) tired.transport.receive(Buffer.from(`${'y'.repeat(80)}\r\n`))
    expect(tired.ended?.error?.message).toContain('too much text')
  })
})
