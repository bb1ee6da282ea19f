import { generateKeyPairSync } from 'node:crypto'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostIdentityOf } from '../../../src/connection/relay/ssh/host-identity.ts'
import { acceptLeg, openLeg } from '../../../src/connection/relay/ssh/leg-over-socket.ts'
import type { OpenLegOptions } from '../../../src/connection/relay/ssh/leg-over-socket.ts'
import type { InboundPacket, SshLeg } from '../../../src/connection/relay/ssh/ssh-leg.ts'
import { DISCONNECT_REASON, MESSAGE } from '../../../src/connection/relay/ssh/wire/messages.ts'
import { mintCertificate } from '../../../src/formats/openssh/mint-certificate.ts'
import { writePrivateKey } from '../../../src/formats/openssh/private-key.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../../src/formats/openssh/public-key.ts'
import { SshReader, SshWriter } from '../../../src/formats/openssh/ssh-bytes.ts'
import { systemClock } from '../../../src/foundation/clock.ts'
import { needProgram } from '../../support/need-program.ts'
import { publickeyRequest } from '../../support/sign-in.ts'
import { startSshd } from '../../support/sshd.ts'
import type { Sshd } from '../../support/sshd.ts'
import { until } from '../../support/until.ts'

const task = { signal: new AbortController().signal, clock: systemClock }
const userKey = generateKeyPairSync('ed25519').privateKey
const hostKey = generateKeyPairSync('ed25519').privateKey
const hostAuthority = generateKeyPairSync('ed25519').privateKey
const folder = mkdtempSync(join(tmpdir(), 'sallyport-transport-'))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function hostCertificate(): Buffer {
  const now = Date.now()
  return mintCertificate(
    {
      subject: publicKeyOf(hostKey),
      kind: 'host',
      keyId: 'proxy',
      principals: ['sallyport.test'],
      validAfter: now - 60_000,
      validBefore: now + 3_600_000,
    },
    hostAuthority,
  ).blob
}

/** Lets everybody in, then sends back what comes on a session channel: the least server that stock ssh takes. */
function serveEcho(leg: SshLeg, replies: { sessions: number }): void {
  let peerWindow = 0
  const waiting: Buffer[] = []
  const flush = (): void => {
    while (waiting[0] && waiting[0].length <= peerWindow) {
      const data = waiting.shift() ?? Buffer.alloc(0)
      peerWindow -= data.length
      leg.send(new SshWriter(data.length + 16).u8(MESSAGE.CHANNEL_DATA).u32(0).string(data).toBuffer())
      leg.send(new SshWriter().u8(MESSAGE.CHANNEL_WINDOW_ADJUST).u32(0).u32(data.length).toBuffer())
    }
  }
  leg.onPacket = ({ payload }) => {
    const reader = new SshReader(payload, 1)
    switch (payload[0]) {
      case MESSAGE.SERVICE_REQUEST:
        leg.send(new SshWriter().u8(MESSAGE.SERVICE_ACCEPT).string('ssh-userauth').toBuffer())
        return
      case MESSAGE.USERAUTH_REQUEST:
        leg.send(Buffer.of(MESSAGE.USERAUTH_SUCCESS))
        leg.authenticated()
        return
      case MESSAGE.CHANNEL_OPEN:
        replies.sessions++
        reader.string(64)
        reader.u32()
        peerWindow = reader.u32()
        leg.send(
          new SshWriter().u8(MESSAGE.CHANNEL_OPEN_CONFIRMATION).u32(0).u32(0).u32(2_097_152).u32(32_768).toBuffer(),
        )
        return
      case MESSAGE.CHANNEL_REQUEST: {
        reader.u32()
        reader.string(64)
        if (reader.bool()) leg.send(new SshWriter().u8(MESSAGE.CHANNEL_SUCCESS).u32(0).toBuffer())
        return
      }
      case MESSAGE.CHANNEL_WINDOW_ADJUST:
        reader.u32()
        peerWindow += reader.u32()
        flush()
        return
      case MESSAGE.CHANNEL_DATA:
        reader.u32()
        waiting.push(Buffer.from(reader.string(65_536)))
        flush()
        return
      case MESSAGE.CHANNEL_EOF: {
        const status = new SshWriter().u8(MESSAGE.CHANNEL_REQUEST).u32(0).string('exit-status').bool(false).u32(0)
        leg.send(Buffer.from(status.toBuffer()))
        leg.send(new SshWriter().u8(MESSAGE.CHANNEL_CLOSE).u32(0).toBuffer())
        return
      }
      default:
    }
  }
}

interface Ran {
  code: number | null
  out: Buffer
  err: string
}

/** `input` null: nothing is typed and the input stays open, so that the command ends only with the connection. */
async function runSsh(port: number, options: readonly string[], input: Buffer | null): Promise<Ran> {
  const args = ['-F', 'none', '-v', '-p', String(port), '-o', 'BatchMode=yes', ...options, '127.0.0.1', 'echo']
  const child = spawn(needProgram('ssh'), args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  child.stdin.on('error', () => {})
  if (input) child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: Buffer.concat(out), err }
}

describe('the server side with the real ssh', () => {
  let server: Server
  const seen: { leg: SshLeg | null; ended: unknown; sessions: number } = { leg: null, ended: null, sessions: 0 }
  const rekey = { bytes: 2 ** 30, packets: 2 ** 31, age: 3_600_000 }
  let knownHosts = ''

  beforeAll(async () => {
    knownHosts = join(folder, 'known_hosts')
    writeFileSync(knownHosts, `@cert-authority * ${formatPublicKeyLine(publicKeyOf(hostAuthority).blob)}\n`)
    const identity = hostIdentityOf(hostKey, hostCertificate())
    server = createServer((socket) => {
      const address = socket.remoteAddress ?? ''
      acceptLeg(socket, { hostIdentity: identity, task, peerAddress: address, rekey }).then(
        (leg) => {
          seen.leg = leg
          leg.onClose = (why) => (seen.ended = why)
          serveEcho(leg, seen)
        },
        (error: unknown) => (seen.ended = { error }),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => server.close())

  const port = (): number => (server.address() as AddressInfo).port
  const trusting = (): string[] => [
    ...['-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'HostKeyAlias=sallyport.test'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', 'GlobalKnownHostsFile=/dev/null'],
  ]

  test.each(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'])('bytes come back whole with %s', async (cipher) => {
    const input = Buffer.alloc(1_000_000, 'a line that is not so long\n')
    const ran = await runSsh(port(), [...trusting(), '-c', cipher], input)
    expect(ran.err).toContain('kex: host key algorithm: ssh-ed25519-cert-v01@openssh.com')
    expect(ran.err).toContain(`cipher: ${cipher}`)
    expect(ran.code).toBe(0)
    expect(ran.out.equals(input)).toBe(true)
  })

  test('a client that prefers chacha20 gets AES-GCM and one that has only chacha20 gets nothing', async () => {
    const both = await runSsh(
      port(),
      [...trusting(), '-c', 'chacha20-poly1305@openssh.com,aes256-gcm@openssh.com'],
      Buffer.from('x'),
    )
    expect(both.err).toContain('cipher: aes256-gcm@openssh.com')
    const one = await runSsh(port(), [...trusting(), '-c', 'chacha20-poly1305@openssh.com'], Buffer.from('x'))
    expect(one.code).toBe(255)
    expect(one.err).toContain('no matching cipher')
  })

  test('the plain host key is shown to a client that knows that one only', async () => {
    const plain = join(folder, 'known_plain')
    writeFileSync(plain, `sallyport.test ${formatPublicKeyLine(publicKeyOf(hostKey).blob)}\n`)
    const options = [...trusting(), '-o', `UserKnownHostsFile=${plain}`, '-o', 'HostKeyAlgorithms=ssh-ed25519']
    const ran = await runSsh(port(), [...options.slice(2)], Buffer.from('hello'))
    expect(ran.err).toMatch(/kex: host key algorithm: ssh-ed25519\s/)
    expect(ran.out.toString()).toBe('hello')
  })

  test("the client's RekeyLimit changes keys many times and no byte is lost", async () => {
    const input = Buffer.alloc(3_000_000, 'rekey from the client ')
    const ran = await runSsh(port(), [...trusting(), '-o', 'RekeyLimit=100K'], input)
    expect(ran.err.split('SSH2_MSG_NEWKEYS received').length).toBeGreaterThan(10)
    expect(ran.out.equals(input)).toBe(true)
  })

  test('our own limit changes keys many times and no byte is lost', async () => {
    rekey.bytes = 100_000
    try {
      const input = Buffer.alloc(3_000_000, 'rekey from the server ')
      const ran = await runSsh(port(), trusting(), input)
      expect(ran.err.split('SSH2_MSG_NEWKEYS received').length).toBeGreaterThan(10)
      expect(ran.out.equals(input)).toBe(true)
    } finally {
      rekey.bytes = 2 ** 30
    }
  })

  test('both sides ask for new keys all the time and no byte is lost', async () => {
    rekey.packets = 20
    try {
      const input = Buffer.alloc(1_000_000, 'rekey from both ')
      const ran = await runSsh(port(), [...trusting(), '-o', 'RekeyLimit=40K'], input)
      expect(ran.err.split('SSH2_MSG_NEWKEYS received').length).toBeGreaterThan(10)
      expect(ran.out.equals(input)).toBe(true)
    } finally {
      rekey.packets = 2 ** 31
    }
  })

  test("a client's end is orderly and its words arrive", async () => {
    seen.ended = null
    await runSsh(port(), trusting(), Buffer.from('x'))
    await expect.poll(() => seen.ended).toEqual({ peerText: 'disconnected by user' })
  })

  test('the text of our DISCONNECT is shown by ssh', async () => {
    seen.leg = null
    const running = runSsh(port(), trusting(), null)
    const leg = await until('the connection', () => seen.leg)
    leg.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'your grant ended')
    const ran = await running
    expect(ran.err).toContain('your grant ended')
    expect(ran.code).toBe(255)
  })

  test('a client that is told another host key goes away and we hear of it', async () => {
    const other = join(folder, 'known_other')
    writeFileSync(other, `@cert-authority * ${formatPublicKeyLine(publicKeyOf(userKey).blob)}\n`)
    seen.ended = null
    const ran = await runSsh(port(), ['-o', `UserKnownHostsFile=${other}`, ...trusting().slice(2)], Buffer.from('x'))
    expect(ran.code).toBe(255)
    expect(ran.err).toContain('Host key verification failed')
  })
})

/** Signs in with userKey and runs a command; resolves with what it printed. */
async function runOverLeg(
  leg: SshLeg,
  user: string,
  command: string,
  onData: (leg: SshLeg) => void = () => {},
): Promise<Buffer> {
  const out: Buffer[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = publickeyRequest(leg.sessionId, {
    user,
    algorithm: 'ssh-ed25519',
    signature: 'ssh-ed25519',
    blob: publicKeyOf(userKey).blob,
    key: userKey,
  })
  let used = 0
  const handle = ({ payload }: InboundPacket): void => {
    const reader = new SshReader(payload, 1)
    switch (payload[0]) {
      case MESSAGE.USERAUTH_FAILURE:
        return reject(new Error('sshd refused the key'))
      case MESSAGE.USERAUTH_SUCCESS:
        leg.authenticated()
        leg.send(
          new SshWriter().u8(MESSAGE.CHANNEL_OPEN).string('session').u32(0).u32(2_097_152).u32(32_768).toBuffer(),
        )
        return
      case MESSAGE.CHANNEL_OPEN_CONFIRMATION:
        leg.send(
          new SshWriter().u8(MESSAGE.CHANNEL_REQUEST).u32(0).string('exec').bool(false).string(command).toBuffer(),
        )
        return
      case MESSAGE.CHANNEL_DATA: {
        reader.u32()
        const data = Buffer.from(reader.string(65_536))
        out.push(data)
        used += data.length
        if (used > 1_000_000) {
          leg.send(new SshWriter().u8(MESSAGE.CHANNEL_WINDOW_ADJUST).u32(0).u32(used).toBuffer())
          used = 0
        }
        return onData(leg)
      }
      case MESSAGE.CHANNEL_CLOSE:
        return resolve()
      default:
    }
  }
  leg.onClose = ({ error, peerText }) => reject(error ?? new Error(`closed: ${peerText}`))
  leg.onPacket = handle
  leg.send(new SshWriter().u8(MESSAGE.SERVICE_REQUEST).string('ssh-userauth').toBuffer())
  leg.send(request)
  await promise
  leg.onClose = () => {}
  leg.disconnect(DISCONNECT_REASON.BY_APPLICATION, 'done')
  return Buffer.concat(out)
}

describe('the client side with the real sshd', () => {
  let sshd: Sshd

  beforeAll(async () => {
    const authorizedKeys = [formatPublicKeyLine(publicKeyOf(userKey).blob)]
    const files = { hostKey: writePrivateKey(hostKey, 'host'), hostCertificate: formatPublicKeyLine(hostCertificate()) }
    sshd = await startSshd({
      authorizedKeys,
      ...files,
      config: ['RekeyLimit 300K'],
    })
  })
  afterAll(() => sshd?.stop())

  async function open(over: Partial<OpenLegOptions> = {}): Promise<SshLeg> {
    const socket: Socket = connect(sshd.port, '127.0.0.1')
    await once(socket, 'connect')
    return openLeg(socket, { task, peerAddress: '127.0.0.1', verifyHostKey: () => {}, ...over })
  }

  test('the host certificate is preferred, and its key proven', async () => {
    const offered: string[] = []
    const leg = await open({
      verifyHostKey: ({ algorithm, publicKey }) => {
        offered.push(algorithm)
        expect(publicKey.blob.equals(publicKeyOf(hostKey).blob)).toBe(true)
      },
    })
    expect(offered).toEqual(['ssh-ed25519-cert-v01@openssh.com'])
    expect(leg.peerVersion).toMatch(/^SSH-2.0-OpenSSH/)
    leg.destroy()
  })

  test('a host key that is refused ends the handshake with our reason', async () => {
    const refusal = new Error('not the key we know')
    await expect(open({ verifyHostKey: () => Promise.reject(refusal) })).rejects.toBe(refusal)
  })

  test.each(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'])(
    'a command prints whole with %s while sshd changes keys',
    async (cipher) => {
      const leg = await open({ ciphers: [cipher] })
      const out = await runOverLeg(leg, sshd.user, 'head -c 5000000 /dev/zero | tr "\\0" y')
      expect(out.length).toBe(5_000_000)
      expect(out.every((byte) => byte === 0x79)).toBe(true)
    },
  )

  test('a command prints whole while we change keys', async () => {
    const leg = await open({ rekey: { bytes: 200_000, packets: 2 ** 31, age: 3_600_000 } })
    const out = await runOverLeg(leg, sshd.user, 'head -c 5000000 /dev/zero | tr "\\0" z')
    expect(out.length).toBe(5_000_000)
  })

  test('pauses in the middle of everything lose nothing', async () => {
    const leg = await open({ rekey: { bytes: 400_000, packets: 2 ** 31, age: 3_600_000 } })
    const out = await runOverLeg(leg, sshd.user, 'seq 1 400000', (flowing) => {
      flowing.pause()
      setImmediate(() => flowing.resume())
    })
    const expected = Array.from({ length: 400_000 }, (_, at) => `${at + 1}\n`).join('')
    expect(out.toString() === expected).toBe(true)
  })
})

describe('host keys of other kinds', () => {
  test.each([
    ['ecdsa', '256', 'ecdsa-sha2-nistp256'],
    ['ecdsa', '384', 'ecdsa-sha2-nistp384'],
    ['ecdsa', '521', 'ecdsa-sha2-nistp521'],
    ['rsa', '2048', 'rsa-sha2-512'],
  ])('%s %s of a target is proven', async (type, bits, algorithm) => {
    const path = join(folder, `host_${type}_${bits}`)
    execFileSync(needProgram('ssh-keygen'), ['-q', '-t', type, '-b', bits, '-N', '', '-f', path])
    const sshd = await startSshd({ hostKey: readFileSync(path, 'utf8') })
    try {
      const socket = connect(sshd.port, '127.0.0.1')
      await once(socket, 'connect')
      const offered: string[] = []
      const verifyHostKey = ({ algorithm: name }: { algorithm: string }): void => void offered.push(name)
      const leg = await openLeg(socket, { task, peerAddress: '127.0.0.1', verifyHostKey })
      expect(offered).toEqual([algorithm])
      leg.destroy()
    } finally {
      await sshd.stop()
    }
  })
})
