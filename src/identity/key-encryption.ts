import { argon2Sync, createHash, createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { createPrivateFile, readPrivateFile } from './private-file.ts'

/** The key that wraps every sealed value's own key. */
export interface KeyEncryptionKey {
  /** Names the key in sealed values, so that a wrong key is told from a damaged value */
  readonly id: string
  readonly key: KeyObject
}

export interface KeyEncryptionOptions {
  /** `file:PATH`, `credential:NAME` or `passphrase`, as the configuration has it */
  readonly source: string
  readonly dataDir: string
  /** True: the store holds sealed values, so that a missing key must stop the start instead of being made anew */
  readonly sealedRowsExist: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asks on the terminal, without echo; null without a terminal */
  readonly askPassphrase: (() => Promise<string>) | null
}

/** The daemon must not start: its text is for the operator. */
export class KeyEncryptionError extends Error {
  override readonly name = 'KeyEncryptionError'
}

const KEY_BYTES = 32
const LONGEST_PASSPHRASE = 1024
// RFC 9106 section 4, second recommended option with more passes: run once, at start.
const ARGON2 = { parallelism: 4, memory: 65_536, passes: 4, tagLength: KEY_BYTES }

/** Finds the key-encryption key, or makes it at the first start. Throws KeyEncryptionError. */
export async function openKeyEncryptionKey(options: KeyEncryptionOptions): Promise<KeyEncryptionKey> {
  const { source } = options
  try {
    if (source.startsWith('file:')) return fromFile(source.slice('file:'.length), options)
    if (source.startsWith('credential:')) return fromCredential(source.slice('credential:'.length), options)
    if (source === 'passphrase') return await fromPassphrase(options)
  } catch (error) {
    throw error instanceof KeyEncryptionError ? error : new KeyEncryptionError((error as Error).message)
  }
  throw new KeyEncryptionError(`key_encryption: ${source} is none of file:PATH, credential:NAME, passphrase`)
}

/** What the chosen source does not protect from, for `status`. */
export function keyEncryptionWarning(source: string): string | null {
  return source.startsWith('file:')
    ? 'The key that seals secrets lies in a file on this host: whoever can read both it and the database can read the authorities. Use credential: or passphrase to change that.'
    : null
}

function fromFile(path: string, options: KeyEncryptionOptions): KeyEncryptionKey {
  const found = readPrivateFile(path, 1024)
  if (found) return keyOf(decodeKey(found, path))
  if (options.sealedRowsExist)
    throw new KeyEncryptionError(
      `${path} is missing, and the store holds values sealed with it. Put the file back; a new key could not open them.`,
    )
  const key = randomBytes(KEY_BYTES)
  createPrivateFile(path, Buffer.from(`${key.toString('base64')}\n`))
  return keyOf(key)
}

function fromCredential(name: string, options: KeyEncryptionOptions): KeyEncryptionKey {
  const folder = options.env['CREDENTIALS_DIRECTORY']
  if (!folder) throw new KeyEncryptionError('key_encryption is credential:, but systemd gave no CREDENTIALS_DIRECTORY')
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(name)) throw new KeyEncryptionError(`credential:${name} is no name`)
  const path = join(folder, name)
  const found = readPrivateFile(path, 1024)
  if (!found) throw new KeyEncryptionError(`the credential ${name} is missing in ${folder}`)
  return keyOf(decodeKey(found, path))
}

/** 32 raw bytes, or their base64 or hex. */
function decodeKey(content: Buffer, path: string): Buffer {
  if (content.length === KEY_BYTES) return content
  const text = content.toString('latin1').trim()
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Buffer.from(text, 'base64')
  throw new KeyEncryptionError(`${path} must hold 32 bytes, as they are, in base64 or in hex`)
}

const PassphraseFile = z.strictObject({
  version: z.literal(1),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  memory: z.int().min(8192).max(4_194_304),
  passes: z.int().min(1).max(100),
  parallelism: z.int().min(1).max(64),
  /** HMAC that tells a wrong passphrase at once */
  check: z.string().regex(/^[0-9a-f]{64}$/),
})

/**
 * The passphrase comes from the file that SALLYPORT_PASSPHRASE_FILE names, else from the terminal. Salt and cost lie in the
 * data folder: they are no secret.
 */
async function fromPassphrase(options: KeyEncryptionOptions): Promise<KeyEncryptionKey> {
  const path = join(options.dataDir, 'passphrase.json')
  const stored = readPrivateFile(path, 4096)
  if (!stored && options.sealedRowsExist)
    throw new KeyEncryptionError(`${path} is missing, and the store holds sealed values. Put the file back.`)
  const passphrase = await readPassphrase(options)
  if (!stored) return firstPassphrase(path, passphrase)
  const parsed = PassphraseFile.safeParse(parseJson(stored.toString('utf8')))
  if (!parsed.success) throw new KeyEncryptionError(`${path} is damaged`)
  const { salt, check, memory, passes, parallelism } = parsed.data
  const key = derive(passphrase, salt, { memory, passes, parallelism, tagLength: KEY_BYTES })
  if (!timingSafeEqual(checkOf(key), Buffer.from(check, 'hex'))) throw new KeyEncryptionError('wrong passphrase')
  return keyOf(key)
}

function firstPassphrase(path: string, passphrase: string): KeyEncryptionKey {
  if (passphrase.length < 12) throw new KeyEncryptionError('the passphrase must have at least 12 characters')
  const salt = randomBytes(32).toString('hex')
  const key = derive(passphrase, salt, ARGON2)
  const { memory, passes, parallelism } = ARGON2
  const content = { version: 1, salt, memory, passes, parallelism, check: checkOf(key).toString('hex') }
  createPrivateFile(path, Buffer.from(`${JSON.stringify(content)}\n`))
  return keyOf(key)
}

async function readPassphrase(options: KeyEncryptionOptions): Promise<string> {
  const file = options.env['SALLYPORT_PASSPHRASE_FILE']
  if (file) {
    const found = readPrivateFile(file, LONGEST_PASSPHRASE + 2)
    if (!found) throw new KeyEncryptionError(`${file} (SALLYPORT_PASSPHRASE_FILE) is missing`)
    return found.toString('utf8').replace(/\r?\n$/, '')
  }
  if (!options.askPassphrase)
    throw new KeyEncryptionError('no terminal to ask for the passphrase; set SALLYPORT_PASSPHRASE_FILE')
  return (await options.askPassphrase()).slice(0, LONGEST_PASSPHRASE)
}

function derive(passphrase: string, saltHex: string, cost: typeof ARGON2): Buffer {
  return argon2Sync('argon2id', {
    message: passphrase.normalize('NFC'),
    nonce: Buffer.from(saltHex, 'hex'),
    ...cost,
  })
}

function checkOf(key: Buffer): Buffer {
  return createHmac('sha256', key).update('sallyport passphrase check v1').digest()
}

function keyOf(bytes: Buffer): KeyEncryptionKey {
  const id = createHash('sha256')
    .update('sallyport key-encryption key id v1\0')
    .update(bytes)
    .digest('hex')
    .slice(0, 16)
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return { id, key }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
