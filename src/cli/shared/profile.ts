import { readFile, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CommandFailed } from './command-failed.ts'

/** What a signed-in device knows: whom it trusts and who it is. */
export interface Profile {
  readonly proxy: Proxy
  readonly account: Account | null
}

/** A proxy whose authority this device has decided to trust. */
export interface Proxy {
  readonly host: string
  readonly port: number
  readonly installation: string
  /** What its certificates call it. */
  readonly name: string
  /** PEM; TLS is verified against it and nothing else. */
  readonly tlsAuthority: string
  /** OpenSSH public key lines. */
  readonly sshHostAuthorities: readonly string[]
}

export interface Account {
  readonly user: string
  readonly userId: string
  readonly loginId: string
  readonly expiresAt: number
  readonly token: string
}

export interface ProfileStore {
  readonly folder: string
  path(file: ProfileFile): string
  /** null: nothing there yet. */
  load(): Promise<Profile | null>
  save(profile: Profile): Promise<void>
  write(file: ProfileFile, content: string): Promise<void>
  /** null: not there. */
  read(file: ProfileFile): Promise<string | null>
  remove(file: ProfileFile): Promise<void>
}

/** `id`: private key; `id-cert.pub`: what `ssh` shows; `ssh_config`, `known_hosts`: what it is told. */
export type ProfileFile = 'profile.json' | 'id' | 'id.pub' | 'id-cert.pub' | 'ssh_config' | 'known_hosts'

const VERSION = 1

/** SALLY_HOME, else XDG_CONFIG_HOME/sallyport, else ~/.config/sallyport. */
export function profileFolder(env: Readonly<Record<string, string | undefined>>): string {
  const own = env['SALLY_HOME'] ?? ''
  if (own !== '') return own
  const config = env['XDG_CONFIG_HOME'] ?? ''
  return join(config === '' ? join(homedir(), '.config') : config, 'sallyport')
}

export function openProfiles(folder: string): ProfileStore {
  const path = (file: ProfileFile): string => join(folder, file)
  const write = async (file: ProfileFile, content: string): Promise<void> => {
    // Loaded late: it needs node:crypto, which costs as much as all other loading together.
    const { makePrivateFolder, writeFileAtomically } = await import('./write-file-atomically.ts')
    await makePrivateFolder(folder)
    await writeFileAtomically(path(file), content)
  }
  return {
    folder,
    path,
    write,
    read: (file) => readOrNull(path(file)),
    remove: (file) => rm(path(file), { force: true }),
    async load() {
      const text = await readOrNull(path('profile.json'))
      if (text === null) return null
      await refuseWideRights(path('profile.json'))
      return parseProfile(text, path('profile.json'))
    },
    save: (profile) => write('profile.json', `${JSON.stringify({ version: VERSION, ...profile }, null, 2)}\n`),
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** It holds a token: others must not read it, as with ssh's own keys. */
async function refuseWideRights(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0)
    throw new CommandFailed('failed', `${path} can be read or changed by others`, `Run: chmod 600 ${path}`)
}

function parseProfile(text: string, path: string): Profile {
  const damaged = (why: string): CommandFailed =>
    new CommandFailed('failed', `${path} ${why}`, `Run: sally login   (or remove ${path} first)`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged('is not JSON')
  }
  if (!isRecord(value) || value['version'] !== VERSION) throw damaged('is of another version')
  const { proxy, account } = value
  if (!isProxy(proxy) || !(account === null || isAccount(account))) throw damaged('lacks a part')
  return { proxy, account }
}

// Written out: the schema library would cost every start more than all the rest of it.
function isProxy(value: unknown): value is Proxy {
  if (!isRecord(value)) return false
  const { sshHostAuthorities } = value
  return (
    ['host', 'installation', 'name', 'tlsAuthority'].every((key) => typeof value[key] === 'string') &&
    Number.isInteger(value['port']) &&
    Array.isArray(sshHostAuthorities) &&
    sshHostAuthorities.every((line) => typeof line === 'string')
  )
}

function isAccount(value: unknown): value is Account {
  if (!isRecord(value)) return false
  return (
    ['user', 'userId', 'loginId', 'token'].every((key) => typeof value[key] === 'string') &&
    typeof value['expiresAt'] === 'number'
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The profile of a signed-in account, or the refusal that says how to sign in. */
export async function requireAccount(profiles: ProfileStore, now: number): Promise<Profile & { account: Account }> {
  const profile = await profiles.load()
  if (profile === null)
    throw new CommandFailed('notSignedIn', 'you are not signed in', 'Run: sally login --proxy=HOST:PORT')
  const { account, proxy } = profile
  if (account === null) throw new CommandFailed('notSignedIn', 'you are not signed in', 'Run: sally login')
  if (account.expiresAt <= now)
    throw new CommandFailed('notSignedIn', `the login of ${account.user} has expired`, 'Run: sally login')
  return { proxy, account }
}
