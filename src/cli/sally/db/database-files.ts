import { createPublicKey, generateKeyPairSync, createPrivateKey, type KeyObject } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { CommandContext } from '../../shared/command-context.ts'
import { makePrivateFolder, writeFileAtomically } from '../../shared/write-file-atomically.ts'

/** Where a signed-in device keeps what clients of databases are given. */
export interface DatabaseFiles {
  readonly key: string
  /** The same key as JDBC reads it: PKCS#8 in DER */
  readonly keyDer: string
  readonly authority: string
  certificate(database: string): string
  /** For the stock client of MySQL alone */
  options(database: string): string
}

export function databaseFiles({ profiles }: Pick<CommandContext, 'profiles'>): DatabaseFiles {
  const folder = folderOf(profiles.folder)
  return {
    key: join(folder, 'key.pem'),
    keyDer: join(folder, 'key.pk8'),
    authority: join(folder, 'authority.pem'),
    certificate: (database) => join(folder, 'certificates', `${database}.pem`),
    options: (database) => join(folder, 'options', `${database}.cnf`),
  }
}

const folderOf = (profile: string): string => join(profile, 'db')

/** The key of this device, made where there is none. Base64 of its SubjectPublicKeyInfo. */
export async function publicKeyFor(context: CommandContext): Promise<string> {
  const files = databaseFiles(context)
  const key = (await storedKey(files.key)) ?? (await newKey(context))
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
}

async function storedKey(path: string): Promise<KeyObject | null> {
  try {
    return createPrivateKey(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function newKey(context: CommandContext): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await store(context, databaseFiles(context).key, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  await store(context, databaseFiles(context).keyDer, privateKey.export({ type: 'pkcs8', format: 'der' }))
  return privateKey
}

/** For its owner alone, in folders for their owner alone. */
export async function store(context: CommandContext, path: string, content: string | Uint8Array): Promise<void> {
  await makePrivateFolder(context.profiles.folder)
  await makePrivateFolder(folderOf(context.profiles.folder))
  await makePrivateFolder(join(path, '..'))
  await writeFileAtomically(path, content)
}

/** Databases that this device has certificates for. */
export async function databasesHere({ profiles }: CommandContext): Promise<string[]> {
  try {
    const names = await readdir(join(folderOf(profiles.folder), 'certificates'))
    return names.flatMap((name) => (name.endsWith('.pem') ? [name.slice(0, -4)] : [])).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export async function forgetDatabase(context: CommandContext, database: string): Promise<void> {
  const files = databaseFiles(context)
  await rm(files.certificate(database), { force: true })
  await rm(files.options(database), { force: true })
}

export async function forgetDatabaseKey({ profiles }: CommandContext): Promise<void> {
  await rm(folderOf(profiles.folder), { recursive: true, force: true })
}

/** The person's own files, where the stock clients look for them. */
export function ownFiles({ terminal }: CommandContext): { readonly services: string; readonly options: string } {
  const { env } = terminal
  const home = env['HOME'] || homedir()
  return { services: env['PGSERVICEFILE'] || join(home, '.pg_service.conf'), options: join(home, '.my.cnf') }
}
