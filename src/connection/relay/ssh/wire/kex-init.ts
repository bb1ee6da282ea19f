// byte 20 | byte[16] cookie | ten name-lists | bool first packet follows | u32 0 (RFC 4253 section 7.1)
import { randomBytes } from 'node:crypto'
import type { CipherGCMTypes } from 'node:crypto'
import { SshReader, SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import { DISCONNECT_REASON, MESSAGE } from './messages.ts'
import { ProtocolError } from './protocol-error.ts'

export type Role = 'client' | 'server'

export type KexName = 'mlkem768x25519-sha256' | 'curve25519-sha256' | 'curve25519-sha256@libssh.org'
const KEX_NAMES: readonly KexName[] = ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org']

/** Nothing else is offered: chacha20 and CBC with EtM are what Terrapin needs, and this is the fastest. */
const CIPHERS: Readonly<Record<string, CipherGCMTypes>> = {
  'aes128-gcm@openssh.com': 'aes-128-gcm',
  'aes256-gcm@openssh.com': 'aes-256-gcm',
}
/** Never used, as GCM brings its own, but some peers insist on a common name. */
const MACS = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512']

const STRICT = { client: 'kex-strict-c-v00@openssh.com', server: 'kex-strict-s-v00@openssh.com' } as const
const EXT_INFO = 'ext-info-c'
const MAX_LIST = 16_384

export interface KexInit {
  readonly kex: readonly string[]
  readonly hostKeys: readonly string[]
  readonly ciphersToServer: readonly string[]
  readonly ciphersToClient: readonly string[]
  readonly compressionToServer: readonly string[]
  readonly compressionToClient: readonly string[]
  readonly firstPacketFollows: boolean
}

export interface Negotiated {
  readonly kex: KexName
  /** Name of the host key algorithm */
  readonly hostKey: string
  readonly toServer: CipherGCMTypes
  readonly toClient: CipherGCMTypes
}

export function buildKexInit(role: Role, hostKeys: readonly string[], ciphers: readonly string[]): Buffer {
  const kex = [...KEX_NAMES, ...(role === 'client' ? [EXT_INFO] : []), STRICT[role]]
  const writer = new SshWriter(1024).u8(MESSAGE.KEXINIT).raw(randomBytes(16)).names(kex).names(hostKeys)
  writer.names(ciphers).names(ciphers).names(MACS).names(MACS).names(['none']).names(['none'])
  return writer.names([]).names([]).bool(false).u32(0).toBuffer()
}

export function parseKexInit(payload: Buffer): KexInit {
  const reader = new SshReader(payload, 1 + 16)
  const list = (): string[] => reader.names(MAX_LIST)
  const [kex, hostKeys, ciphersToServer, ciphersToClient] = [list(), list(), list(), list()]
  list() // MACs, both ways
  list()
  const [compressionToServer, compressionToClient] = [list(), list()]
  list() // languages, both ways
  list()
  const firstPacketFollows = reader.bool()
  reader.u32()
  reader.end()
  const ciphers = { ciphersToServer, ciphersToClient }
  return { kex, hostKeys, ...ciphers, compressionToServer, compressionToClient, firstPacketFollows }
}

/** The first of the client's names that the server has too, for each list. Throws KEY_EXCHANGE_FAILED. */
export function negotiate(own: KexInit, peer: KexInit, role: Role): Negotiated {
  const [client, server] = role === 'client' ? [own, peer] : [peer, own]
  const none = [client.compressionToServer, client.compressionToClient, server.compressionToServer]
  if (![...none, server.compressionToClient].every((list) => list.includes('none')))
    throw nothingInCommon('compression')
  return {
    kex: firstCommon('key exchange', client.kex, server.kex, (name) => KEX_NAMES.find((known) => known === name)),
    hostKey: firstCommon('host key', client.hostKeys, server.hostKeys, (name) => name),
    toServer: firstCommon('cipher', client.ciphersToServer, server.ciphersToServer, (name) => CIPHERS[name]),
    toClient: firstCommon('cipher', client.ciphersToClient, server.ciphersToClient, (name) => CIPHERS[name]),
  }
}

function firstCommon<T>(
  what: string,
  client: readonly string[],
  server: readonly string[],
  known: (name: string) => T | undefined,
): T {
  for (const name of client) {
    const meaning = server.includes(name) ? known(name) : undefined
    if (meaning !== undefined) return meaning
  }
  throw nothingInCommon(what)
}

function nothingInCommon(what: string): ProtocolError {
  return new ProtocolError(`no ${what} algorithm in common`, DISCONNECT_REASON.KEY_EXCHANGE_FAILED)
}

/** Without strict key exchange the start of a connection can be cut away unseen (CVE-2023-48795). */
export function requireStrict(peer: KexInit, ownRole: Role): void {
  if (!peer.kex.includes(STRICT[ownRole === 'client' ? 'server' : 'client'])) {
    throw new ProtocolError('strict key exchange is required', DISCONNECT_REASON.KEY_EXCHANGE_FAILED)
  }
}

export function wantsExtInfo(peer: KexInit): boolean {
  return peer.kex.includes(EXT_INFO)
}

/** Whether the packet that follows a KEXINIT unasked was made with what was then negotiated (RFC 4253 section 7). */
export function guessedRight(own: KexInit, peer: KexInit): boolean {
  return own.kex[0] === peer.kex[0] && own.hostKeys[0] === peer.hostKeys[0]
}

export const CIPHER_NAMES: readonly string[] = Object.keys(CIPHERS)
