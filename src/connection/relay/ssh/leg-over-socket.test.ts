import { generateKeyPairSync } from 'node:crypto'
import { duplexPair } from 'node:stream'
import type { Duplex } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { SshWriter } from '../../../formats/openssh/ssh-bytes.ts'
import { systemClock } from '../../../foundation/clock.ts'
import type { Clock } from '../../../foundation/clock.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { hostIdentityOf } from './host-identity.ts'
import { acceptLeg, openLeg } from './leg-over-socket.ts'
import type { OpenLegOptions } from './leg-over-socket.ts'
import type { SshLeg } from './ssh-leg.ts'
import { DISCONNECT_REASON, MESSAGE } from './wire/messages.ts'

const hostKey = generateKeyPairSync('ed25519').privateKey
const hostIdentity = hostIdentityOf(hostKey, null)
const task = { signal: new AbortController().signal, clock: systemClock }
const common = { task, peerAddress: '192.0.2.7' }

async function legs(over: Partial<OpenLegOptions> = {}): Promise<{ client: SshLeg; server: SshLeg; wires: Duplex[] }> {
  const [left, right] = duplexPair()
  const [client, server] = await Promise.all([
    openLeg(left, { ...common, verifyHostKey: () => {}, ...over }),
    acceptLeg(right, { ...common, hostIdentity }),
  ])
  return { client, server, wires: [left, right] }
}

const data = (size: number, fill = 0): Buffer =>
  Buffer.from(new SshWriter().u8(MESSAGE.CHANNEL_DATA).u32(0).string(Buffer.alloc(size, fill)).toBuffer())

async function signedIn(): Promise<{ client: SshLeg; server: SshLeg; wires: Duplex[] }> {
  const all = await legs()
  all.client.authenticated()
  all.server.authenticated()
  return all
}

/** A clock that stands still and counts the timers that are armed. */
function countingClock(): { clock: Clock; advance: (ms: number) => void; armed: () => number } {
  const manual = new ManualClock()
  const armed = new Set<object>()
  const after: Clock['after'] = (ms, run) => {
    const mark = {}
    armed.add(mark)
    const timer = manual.after(ms, () => {
      armed.delete(mark)
      run()
    })
    return {
      cancel() {
        armed.delete(mark)
        timer.cancel()
      },
    }
  }
  const clock = { now: () => manual.now(), monotonic: () => manual.monotonic(), after }
  return { clock, advance: (ms) => manual.advance(ms), armed: () => armed.size }
}

describe('two legs over one stream', () => {
  test('agree on the session and say who is there', async () => {
    const { client, server } = await legs()
    expect(client.sessionId.equals(server.sessionId)).toBe(true)
    expect(server.peerVersion).toBe('SSH-2.0-Sallyport')
    expect(server.peerAddress).toBe('192.0.2.7')
    expect(server.isAuthenticated).toBe(false)
  })

  test('keep packets that come before there is a handler for them', async () => {
    const { client, server } = await signedIn()
    client.send(data(1, 1))
    client.send(data(1, 2))
    await new Promise((resolve) => setImmediate(resolve))
    const seen: (number | undefined)[] = []
    server.onPacket = ({ payload }) => seen.push(payload.at(-1))
    await expect.poll(() => seen).toEqual([1, 2])
  })

  test('carry ten megabytes through a slow handler, pausing and draining, without a gap', async () => {
    const { client, server } = await signedIn()
    let received = 0
    let expected = 0
    server.onPacket = ({ payload }) => {
      expect(payload.at(-1)).toBe(expected++ % 256)
      received += payload.length - 9
      server.pause()
      setImmediate(() => server.resume())
    }
    let drained = 0
    for (let sent = 0; sent < 320; sent++) {
      if (client.send(data(32_768, sent % 256))) continue
      await new Promise<void>((resolve) => (client.onDrain = resolve))
      drained++
    }
    await expect.poll(() => received).toBe(320 * 32_768)
    expect(drained).toBeGreaterThan(3)
  })

  test('say no when the peer does not read, and stay bounded', async () => {
    const { client, server, wires } = await signedIn()
    server.pause()
    let sends = 0
    while (client.send(data(32_768))) sends++
    expect(sends * 32_768).toBeLessThan(2 * 1024 * 1024)
    expect(wires[0]?.writableLength).toBeLessThan(2 * 1024 * 1024)
  })

  test('acknowledge what nothing is said to, so that a peer with Nagle on goes on at once, and soon stop that', async () => {
    const { client, server, wires } = await signedIn()
    const [, wire] = wires
    if (!wire) throw new Error('no wire')
    let seen = 0
    server.onPacket = () => seen++
    const written = vi.spyOn(wire, 'write')
    for (let sent = 1; sent <= 40; sent++) {
      client.send(data(1))
      await expect.poll(() => seen, { interval: 1 }).toBe(sent)
      if (sent === 1) expect(written).toHaveBeenCalled()
    }
    expect(written.mock.calls.length).toBeLessThanOrEqual(16)
  })

  test('forward what a handler patched', async () => {
    const [one, two] = [await signedIn(), await signedIn()]
    one.server.onPacket = (packet) => {
      packet.payload.writeUInt32BE(5, 1)
      two.client.forward(packet)
    }
    const seen: number[] = []
    two.server.onPacket = ({ payload }) => seen.push(payload.readUInt32BE(1))
    one.client.send(data(100))
    two.client.rekey()
    one.client.send(data(100))
    await expect.poll(() => seen).toEqual([5, 5])
  })

  test('end once, with the last words of the other side', async () => {
    const { client, server } = await legs()
    const ends: unknown[] = []
    server.onClose = (why) => ends.push(why)
    client.onClose = (why) => ends.push(why)
    server.onPacket = () => {}
    await new Promise((resolve) => setImmediate(resolve))
    client.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'good night')
    await expect.poll(() => ends.length).toBe(2)
    client.destroy(new Error('late'))
    server.destroy(new Error('late'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(ends).toEqual([{}, { peerText: 'good night' }])
  })

  test('tell the end to a handler that is set after it', async () => {
    const { client, server } = await legs()
    client.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'gone')
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    const { promise, resolve } = Promise.withResolvers<unknown>()
    server.onPacket = () => {}
    server.onClose = resolve
    expect(await promise).toEqual({ peerText: 'gone' })
  })

  test('close with an error when a handler throws, and the other side reads a plain word', async () => {
    const { client, server } = await signedIn()
    const failure = new Error('our bug')
    const ours = new Promise((resolve) => (server.onClose = resolve))
    const theirs = new Promise((resolve) => (client.onClose = resolve))
    client.onPacket = () => {}
    server.onPacket = () => {
      throw failure
    }
    client.send(data(1))
    expect(await ours).toEqual({ error: failure })
    expect(await theirs).toEqual({ peerText: 'internal error' })
  })

  test('destroyed close their stream and take nothing more', async () => {
    const { client, wires } = await legs()
    const closed = new Promise((resolve) => (client.onClose = resolve))
    client.destroy(new Error('locked'))
    expect(await closed).toMatchObject({ error: new Error('locked') })
    await expect.poll(() => wires[0]?.destroyed).toBe(true)
    expect(client.send(data(1))).toBe(false)
  })
})

describe('a handshake', () => {
  test('that is refused by us rejects with our reason', async () => {
    const refusal = new Error('another key is on record')
    await expect(legs({ verifyHostKey: () => Promise.reject(refusal) })).rejects.toBe(refusal)
  })

  test('offers the key that was verified', async () => {
    const blobs: Buffer[] = []
    await legs({ verifyHostKey: ({ publicKey }) => void blobs.push(publicKey.blob) })
    expect(blobs[0]?.equals(publicKeyOf(hostKey).blob)).toBe(true)
  })

  test('with a silent peer ends in time and leaves no timer behind', async () => {
    const { clock, advance, armed } = countingClock()
    const [left, right] = duplexPair()
    const silent = acceptLeg(right, { ...common, task: { ...task, clock }, hostIdentity, handshakeMs: 10_000 })
    left.resume()
    advance(10_001)
    await expect(silent).rejects.toThrow('takes too long')
    expect(right.destroyed).toBe(true)
    expect(armed()).toBe(0)
  })

  test('is ended by its signal, before and during', async () => {
    for (const isBefore of [true, false]) {
      const controller = new AbortController()
      const reason = new Error('shutting down')
      if (isBefore) controller.abort(reason)
      const [, right] = duplexPair()
      const leg = acceptLeg(right, { ...common, task: { ...task, signal: controller.signal }, hostIdentity })
      if (!isBefore) controller.abort(reason)
      await expect(leg).rejects.toBe(reason)
      expect(right.destroyed).toBe(true)
    }
  })

  test('with a peer that goes away rejects', async () => {
    const [left, right] = duplexPair()
    const leg = acceptLeg(right, { ...common, hostIdentity })
    left.end()
    await expect(leg).rejects.toThrow('closed during the key exchange')
  })

  test('with something that is not SSH rejects and says so', async () => {
    const [left, right] = duplexPair()
    const leg = acceptLeg(right, { ...common, hostIdentity })
    left.write('GET / HTTP/1.1\r\n\r\n')
    await expect(leg).rejects.toThrow('no SSH identification')
  })
})

test('a leg that ended has no timers left', async () => {
  const { clock, armed } = countingClock()
  const [left, right] = duplexPair()
  const withClock = { ...common, task: { ...task, clock } }
  const [client, server] = await Promise.all([
    openLeg(left, { ...withClock, verifyHostKey: () => {} }),
    acceptLeg(right, { ...withClock, hostIdentity }),
  ])
  server.onPacket = () => {}
  client.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'done')
  await expect.poll(() => left.destroyed && right.destroyed).toBe(true)
  expect(armed()).toBe(0)
})

test('the clock of a leg asks for new keys after an hour', async () => {
  const clock = new ManualClock()
  const [left, right] = duplexPair()
  const [client, server] = await Promise.all([
    openLeg(left, { ...common, task: { ...task, clock }, verifyHostKey: () => {} }),
    acceptLeg(right, { ...common, hostIdentity }),
  ])
  client.onPacket = () => {}
  server.onPacket = () => {}
  client.authenticated()
  server.authenticated()
  let bytes = 0
  right.on('data', (chunk: Buffer) => (bytes += chunk.length))
  clock.advance(5000)
  clock.advance(3_600_000)
  expect(bytes).toBe(0)
  clock.advance(5000)
  await expect.poll(() => bytes).toBeGreaterThan(1000)
})
