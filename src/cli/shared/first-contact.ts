// Trust on purpose: a proxy that this device has never met is asked who it is without trusting the answer; what it says is
// believed only when its authority's key is the pinned one (or a person compared the fingerprint) and a second, fully
// verified connection says the same.
import { createHash, X509Certificate } from 'node:crypto'
import { Agent, request } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createClient } from '../../contract/client.ts'
import { Ping } from '../../contract/login.ts'
import { OWN_ALPN } from '../../formats/own-alpn.ts'
import { CommandFailed } from './command-failed.ts'
import { unreachable } from './http-exchange.ts'
import type { Proxy } from './profile.ts'
import type { ProxyAddress, Surroundings } from './command-context.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

const PIN = /^sha256:([0-9a-f]{64})$/
const LONGEST_PING = 256 * 1024
const WAIT_MS = 15_000

/** `host:port`, `[::1]:port`, or a host alone for port 3022. */
export function parseAddress(text: string): Address {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text)
  const host = found?.[1] ?? found?.[2]
  const port = Number(found?.[3] ?? 3022)
  if (host === undefined || port < 1 || port > 65535 || host.startsWith('-'))
    throw new CommandFailed('usage', `"${text}" is no proxy address`, 'Write it as --proxy=HOST:PORT.')
  return { host, port }
}

/** Lower-case `sha256:<hex>`; uppercase hex is taken too. */
export function parsePin(text: string): string {
  const lower = text.toLowerCase()
  if (!PIN.test(lower))
    throw new CommandFailed(
      'usage',
      'a pin is sha256: and 64 hexadecimal digits',
      'Copy it from what the proxy printed.',
    )
  return lower
}

/** SHA-256 over the SubjectPublicKeyInfo: stays the same when the certificate is renewed with its key. */
export function pinOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`
}

/** The pin of a stored authority. */
export function pinOfPem(pem: string): string {
  return pinOf(new X509Certificate(pem))
}

/** Learns who the proxy is. `accept` decides about its authority's pin; it must throw or return false to refuse. */
export async function meetProxy(
  address: Address,
  open: Surroundings['openProxy'],
  accept: (pin: string) => Promise<boolean>,
): Promise<Proxy> {
  const stranger = await pingUntrusted(address)
  const authority = readAuthority(stranger.ping.tlsAuthority)
  checkChain(stranger, authority)
  if (!(await accept(pinOf(authority))))
    throw new CommandFailed('notAllowed', 'the authority was not accepted; nothing was sent to the proxy')
  const known = { ...address, name: stranger.ping.proxyName, tlsAuthority: authority.toString() }
  return { ...known, ...(await pingVerified(known, open)) }
}

/** Asks again over a connection that the known authority vouches for: only that answer is kept. */
export async function pingVerified(
  known: ProxyAddress,
  open: Surroundings['openProxy'],
): Promise<Pick<Proxy, 'installation' | 'sshHostAuthorities'>> {
  const { transport, close } = await open(known)
  try {
    const ping = await createClient(transport).ping({})
    return { installation: ping.installation, sshHostAuthorities: ping.sshHostAuthorities }
  } finally {
    close()
  }
}

interface Stranger {
  readonly ping: Ping
  readonly certificate: X509Certificate
}

async function pingUntrusted({ host, port }: Address): Promise<Stranger> {
  const where = `${host}:${port}`
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host,
      port,
      path: '/v1/ping',
      agent: new Agent({ ALPNProtocols: [OWN_ALPN, 'http/1.1'] }),
      // The one place: nothing that this connection says is believed before `checkChain` and the pin.
      rejectUnauthorized: false,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.3',
      timeout: WAIT_MS,
    })
    const fail = (error: Error): void => reject(unreachable(where, error))
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${WAIT_MS / 1000} s`)))
    outgoing.on('error', fail)
    outgoing.on('response', (incoming) => {
      const certificate = (incoming.socket as TLSSocket).getPeerX509Certificate()
      const parts: Buffer[] = []
      let length = 0
      incoming.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > LONGEST_PING) incoming.destroy(new Error('its answer is too long'))
        parts.push(chunk)
      })
      incoming.on('error', fail)
      incoming.on('end', () => {
        const ping = Ping.safeParse(parseJson(Buffer.concat(parts).toString('utf8')))
        if (ping.success && certificate !== undefined) resolve({ ping: ping.data, certificate })
        else reject(new CommandFailed('failed', `${where} is no Sallyport proxy`))
      })
    })
    outgoing.end()
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readAuthority(pem: string): X509Certificate {
  try {
    const authority = new X509Certificate(pem)
    if (authority.ca && authority.verify(authority.publicKey)) return authority
  } catch {
    // Not a certificate at all: the same answer.
  }
  throw new CommandFailed('failed', 'the proxy names an authority that is not one')
}

function checkChain({ ping, certificate }: Stranger, authority: X509Certificate): void {
  const signed = certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  const named =
    isIP(ping.proxyName) === 0
      ? certificate.checkHost(ping.proxyName) !== undefined
      : certificate.checkIP(ping.proxyName) !== undefined
  if (!signed || !named)
    throw new CommandFailed(
      'notAllowed',
      'the certificate that the proxy shows was not signed by the authority it names',
      'Somebody may sit between you and the proxy. Ask its operator.',
    )
}
