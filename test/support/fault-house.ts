// A daemon that is going to be broken: two nodes (one sshd), alice who reaches `box`, and what faults need.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PlayedRecord } from '../../src/contract/recording.ts'
import type { RoleDocument } from '../../src/contract/role.ts'
import type { z } from 'zod'
import type { Account } from './account.ts'
import { asAccount } from './as-account.ts'
import { startSallyport, type Sallyport, type SallyportOptions } from './sallyport.ts'

export { asAccount } from './as-account.ts'

/** Alice's own role lets her in. */
export const NODE = 'box'
/** She must ask for the role `dba`. */
export const VAULT = 'vault'

type RoleSpec = z.input<typeof RoleDocument>['spec']

export interface FaultHouseOptions extends SallyportOptions {
  /** `options` of alice's own role */
  readonly roleOptions?: RoleSpec['options']
}

export interface FaultHouse {
  readonly sallyport: Sallyport
  readonly alice: Account
}

/** `engineer` reaches `box` and may ask for `dba`, which reaches `vault`; `reviewer` decides alone. */
export async function startFaultHouse({ roleOptions, ...options }: FaultHouseOptions = {}): Promise<FaultHouse> {
  const sallyport = await startSallyport(options)
  try {
    const sshd = await sallyport.startNode(NODE, { env: 'dev' }, { config: ['LogLevel VERBOSE'] })
    await sallyport.addNode(VAULT, sshd, { env: 'prod' })
    const logins = [sallyport.login]
    const request = { roles: ['dba'], max_duration: '4h', thresholds: [{ name: 'one', approve: 1, deny: 1 }] }
    const role = (name: string, spec: RoleSpec): Promise<void> =>
      sallyport.role({ kind: 'role', version: 'v1', metadata: { name }, spec })
    await role('engineer', { options: roleOptions ?? {}, allow: { logins, node_labels: { env: 'dev' }, request } })
    await role('dba', { allow: { logins, node_labels: { env: 'prod' } } })
    await role('reviewer', { allow: { review_requests: { roles: ['dba'] } } })
    await role('unused', { allow: {} })
    await sallyport.user('alice', ['engineer'])
    return { sallyport, alice: await sallyport.signIn('alice') }
  } catch (error) {
    const log = sallyport.logText()
    await sallyport.stop()
    throw new Error(`${String(error)}\n${log.slice(-2000)}`, { cause: error })
  }
}

/** Somebody who may decide about `dba`, signed in. */
export async function addReviewer(sallyport: Sallyport, name = 'bob'): Promise<Account> {
  await sallyport.user(name, ['reviewer'])
  return sallyport.signIn(name)
}

/** Relay workers that run now; the control process may have other children (it verifies the store in one). */
export function relayWorkers(sallyport: Sallyport): readonly number[] {
  return sallyport.workerPids().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('relay-worker')
    } catch {
      return false
    }
  })
}

/** SIGKILL to the control process alone; resolves when it is gone. Its relay workers may still be ending. */
export async function killControl(sallyport: Sallyport): Promise<void> {
  const { ended, pid } = sallyport
  process.kill(pid, 'SIGKILL')
  await ended
}

/** What a session's recording holds, as its user plays it. */
export function played(account: Account, sessionId: string): Promise<PlayedRecord[]> {
  return asAccount(account, async (api) => {
    const records: PlayedRecord[] = []
    for await (const line of api.playSession({ params: { id: sessionId } })) records.push(PlayedRecord.parse(line))
    return records
  })
}

/** Everything that a recording shows of a terminal's output, byte for byte. */
export function outputOf(records: readonly PlayedRecord[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) =>
      record.kind === 'output' && record.stream === 'stdout' ? [Buffer.from(record.bytes, 'base64')] : [],
    ),
  )
}

/** What `sallyctl audit verify` says. */
export async function verified(sallyport: Sallyport): Promise<{ problems: readonly unknown[]; anchored: boolean }> {
  const { problems, anchored } = await sallyport.api.verifyAudit({})
  return { problems, anchored }
}

/** A tmpfs of `size` (`8m`) at `path`; the answer takes it away. Says what is missing where mounting is not permitted. */
export function mountSmall(path: string, size: string): () => void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path], { stdio: 'pipe' })
  } catch (error) {
    const need = 'this test mounts a small tmpfs: it needs root with CAP_SYS_ADMIN, and the package mount'
    throw new Error(`${need} (${String(error)})`, { cause: error })
  }
  return () => void execFileSync('umount', ['-l', path])
}

/** Fills the file system of `folder` to its last byte; gives the file to delete for room. */
export function fillDisk(folder: string): string {
  const filler = join(folder, 'filler')
  const fd = openSync(filler, 'a')
  for (let block = 65_536; block >= 1;) {
    try {
      writeSync(fd, Buffer.alloc(block, 1))
    } catch {
      block = Math.floor(block / 2)
    }
  }
  closeSync(fd)
  if (statfsSync(folder).bavail !== 0) throw new Error(`${folder} is not full`)
  return filler
}
