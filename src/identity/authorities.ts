import { createPrivateKey, generateKeyPairSync, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { confirmed, type Confirmed } from '../audit/confirmation.ts'
import type { DeedLog, NewEvent, Tx } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import { authorityPin } from '../formats/authority-pin.ts'
import { formatPublicKeyLine, publicKeyOf } from '../formats/openssh/public-key.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { AuthoritiesTable, AuthorityKind } from '../foundation/database/tables.ts'
import { Bug } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import { MadeElsewhere } from './installation.ts'
import { rotationMove } from './authority-rotation.ts'
import type { RotationStep } from './authority-rotation.ts'
import type { Sealer } from './sealing.ts'
import { hostCertificate, onwardCertificate, sshUserCertificate } from './ssh-certificates.ts'
import type { HostCertificate, OnwardCertificateInput, UserCertificateInput } from './ssh-certificates.ts'
import { tlsAuthorityCertificate, tlsLeaf } from './tls-certificates.ts'
import type { TlsLeaf } from './tls-certificates.ts'
import {
  databaseX509Certificate,
  userX509Certificate,
  type DatabaseX509Input,
  type UserX509Input,
  type X509Signer,
} from './x509-certificates.ts'

export const AUTHORITY_KINDS = [
  'user-ssh',
  'onward-ssh',
  'host-ssh',
  'server-tls',
  'user-x509',
  'database-x509',
  'checkpoint',
] as const
/** Those that are certificates themselves, with the words for their names */
const X509_NAMES: Readonly<Partial<Record<AuthorityKind, string>>> = {
  'server-tls': 'server TLS',
  'user-x509': 'users',
  'database-x509': 'databases',
}
const SYSTEM: Actor = { kind: 'system', id: null, name: 'sallyport' }

export interface PublicAuthority {
  readonly id: string
  readonly kind: AuthorityKind
  readonly state: AuthoritiesTable['state']
  /** OpenSSH key line of the SSH ones, certificate PEM of the X.509 ones, SPKI PEM of checkpoint */
  readonly public: string
  readonly createdAt: number
}

export interface AuthoritiesParts {
  readonly database: Database
  readonly deeds: DeedLog
  readonly sealer: Sealer
  readonly clock: Clock
  /** Name of the installation, for certificates */
  readonly installation: string
}

interface Loaded extends PublicAuthority {
  readonly row: AuthoritiesTable
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** The keys that sign. Private parts never leave this class but as what they signed; checkpoints get theirs as a KeyObject. */
export class Authorities {
  readonly #parts: AuthoritiesParts
  readonly #listeners: (() => void)[] = []
  #all: readonly Loaded[] = []

  private constructor(parts: AuthoritiesParts) {
    this.#parts = parts
  }

  /** Loads all, and makes what is missing (first start). Throws SealError when the key-encryption key is another one. */
  static async open(parts: AuthoritiesParts): Promise<Authorities> {
    const authorities = new Authorities(parts)
    await authorities.#load()
    const missing = AUTHORITY_KINDS.filter((kind) => !authorities.#find(kind))
    if (missing.length === 0) return authorities
    try {
      await authorities.#create(missing)
    } catch (error) {
      if (!(error instanceof MadeElsewhere)) throw error
      await authorities.#load()
    }
    return authorities
  }

  /** Public parts of all that are not dropped. */
  list(): readonly PublicAuthority[] {
    return this.#all
      .filter(({ state }) => state !== 'dropped')
      .map(({ id, kind, state, public: text, createdAt }) => ({ id, kind, state, public: text, createdAt }))
  }

  /** SSH key blobs whose certificates are taken now. */
  trustedBlobs(kind: 'user-ssh' | 'onward-ssh' | 'host-ssh'): Buffer[] {
    return this.#trusted(kind).map(({ publicKey }) => publicKeyOf(publicKey).blob)
  }

  /** The same as `ssh-ed25519 AAAA...` lines, the signing one first. */
  trustedLines(kind: 'user-ssh' | 'onward-ssh' | 'host-ssh'): string[] {
    return this.trustedBlobs(kind).map((blob) => formatPublicKeyLine(blob, `sallyport-${kind}`))
  }

  /** PEM of the server-TLS authorities, the signing one first. */
  tlsAuthorityPem(): string {
    return this.#trusted('server-tls')
      .map(({ row }) => row.certificate ?? '')
      .join('')
  }

  /** PEM of each X.509 authority whose certificates are taken now, the signing one first. */
  trustedPems(kind: 'user-x509' | 'database-x509'): string[] {
    return this.#trusted(kind).map(({ row }) => row.certificate ?? '')
  }

  /** PEM. Errors: Refused('malformed') for another key than P-256. */
  userX509Certificate(input: UserX509Input): string {
    return userX509Certificate(this.#x509Signer('user-x509'), this.#parts.installation, input)
  }

  /** DER. Errors: Refused('malformed') for another key than P-256. */
  databaseX509Certificate(input: Omit<DatabaseX509Input, 'now'>): Buffer {
    const now = this.#parts.clock.now()
    return databaseX509Certificate(this.#x509Signer('database-x509'), this.#parts.installation, { ...input, now })
  }

  #x509Signer(kind: 'user-x509' | 'database-x509'): X509Signer {
    const { row, privateKey } = this.#active(kind)
    return { privateKey, certificatePem: row.certificate ?? '' }
  }

  /** What `--ca-pin` takes. */
  pin(): string {
    return authorityPin(this.#active('server-tls').row.certificate ?? '')
  }

  sshUserCertificate(input: UserCertificateInput): { readonly line: string; readonly serial: bigint } {
    const { blob, serial } = sshUserCertificate(this.#active('user-ssh').privateKey, input)
    return { line: formatPublicKeyLine(blob, `${input.userName}@sallyport`), serial }
  }

  onwardCertificate(input: Omit<OnwardCertificateInput, 'now'>): { readonly blob: Buffer; readonly serial: bigint } {
    return onwardCertificate(this.#active('onward-ssh').privateKey, { ...input, now: this.#parts.clock.now() })
  }

  hostCertificate(proxyName: string): HostCertificate {
    return hostCertificate(this.#active('host-ssh').privateKey, proxyName, this.#parts.clock.now())
  }

  /** A leaf for DNS names and IP addresses. */
  async tlsLeaf(names: readonly string[]): Promise<TlsLeaf> {
    const { row, privateKey } = this.#active('server-tls')
    return await tlsLeaf({ privateKey, certificatePem: row.certificate ?? '' }, names, this.#parts.clock.now())
  }

  /** Ed25519: signs checkpoints. */
  checkpointKey(): { readonly id: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
    const { id, privateKey, publicKey } = this.#active('checkpoint')
    return { id, privateKey, publicKey }
  }

  /** One step of a rotation, stored with its event. Throws Refused when it is out of order. */
  async rotate(kind: AuthorityKind, step: RotationStep, doer: { readonly actor: Actor } & Confirmed): Promise<void> {
    // Later than the active one whatever the clock says: which of the two is the new one is told by this.
    const later = Math.max(this.#parts.clock.now(), this.#active(kind).createdAt + 1)
    const made = step === 'init' ? await this.#make(kind, 'next', later) : null
    await this.#parts.deeds.commitDeed(
      confirmed(doer, async (tx) => {
        const rows = await tx.selectFrom('authorities').selectAll().where('kind', '=', kind).execute()
        const move = rotationMove(
          rows.map(({ id, state, created_at }) => ({ id, state, createdAt: created_at })),
          step,
        )
        for (const { id, to } of move.changes) {
          await tx.updateTable('authorities').set({ state: to }).where('id', '=', id).execute()
        }
        if (move.makeNext && made) await tx.insertInto('authorities').values(made).execute()
        const ids = [...move.changes.map(({ id }) => id), ...(move.makeNext && made ? [made.id] : [])]
        const event: NewEvent = {
          type: 'ca.rotate',
          actor: doer.actor,
          outcome: 'success',
          details: { kind, step, changes: move.changes.map(({ id, to }) => ({ id, to })), made: made?.id ?? null },
          rows: ids.map((id) => ({ table: 'authorities', id })),
        }
        return { result: null, events: [event] }
      }),
    )
    await this.refresh()
  }

  /** Loads them anew, for a rotation by whichever daemon; who listens is told when something has changed. */
  async refresh(): Promise<void> {
    const before = this.#all.map(({ id, state }) => `${id} ${state}`).join()
    await this.#load()
    if (this.#all.map(({ id, state }) => `${id} ${state}`).join() === before) return
    for (const listener of this.#listeners) listener()
  }

  /** Told after each step of a rotation, with the keys loaded. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener)
  }

  #find(kind: AuthorityKind): Loaded | undefined {
    return this.#all.find((authority) => authority.kind === kind && authority.state === 'active')
  }

  #active(kind: AuthorityKind): Loaded {
    const found = this.#find(kind)
    if (!found) throw new Bug(`no active ${kind} authority`)
    return found
  }

  #trusted(kind: AuthorityKind): Loaded[] {
    const trusted = this.#all.filter(({ kind: its, state }) => its === kind && state === 'trusted')
    return [this.#active(kind), ...trusted]
  }

  async #load(): Promise<void> {
    const rows = await this.#parts.database.reads
      .selectFrom('authorities')
      .selectAll()
      .orderBy('created_at')
      .orderBy('id')
      .execute()
    this.#all = rows.map((row) => this.#open(row))
  }

  #open(row: AuthoritiesTable): Loaded {
    const place = { table: 'authorities', row: row.id, column: 'private_sealed' }
    const der = this.#parts.sealer.unseal(place, row.private_sealed)
    const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    der.fill(0)
    const publicKey = createPublicKey(row.public_key)
    if (!createPublicKey(privateKey).equals(publicKey)) throw new Bug(`authority ${row.id}: its keys do not fit`)
    const { id, kind, state, created_at: createdAt } = row
    return { id, kind, state, createdAt, public: publicText(row, publicKey), row, privateKey, publicKey }
  }

  async #create(kinds: readonly AuthorityKind[]): Promise<void> {
    const now = this.#parts.clock.now()
    const rows = await Promise.all(kinds.map((kind) => this.#make(kind, 'active', now)))
    await this.#parts.deeds.commitDeed(async (tx: Tx) => {
      const there = await tx
        .selectFrom('authorities')
        .select('id')
        .where('kind', 'in', [...kinds])
        .executeTakeFirst()
      if (there) throw new MadeElsewhere()
      await tx.insertInto('authorities').values(rows).execute()
      const [first, ...others] = rows.map((row) => created(row))
      if (!first) throw new Bug('no authority to make')
      return { result: null, events: [first, ...others] }
    })
    await this.#load()
  }

  async #make(kind: AuthorityKind, state: AuthoritiesTable['state'], now: number): Promise<AuthoritiesTable> {
    const id = newId('authority', now)
    const words = X509_NAMES[kind]
    const { privateKey, publicKey } =
      words !== undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
    const der = privateKey.export({ type: 'pkcs8', format: 'der' })
    const sealed = this.#parts.sealer.seal({ table: 'authorities', row: id, column: 'private_sealed' }, der)
    der.fill(0)
    const name = `Sallyport ${this.#parts.installation} ${words ?? ''}`
    return {
      id,
      event_id: '',
      kind,
      state,
      algorithm: words !== undefined ? 'p256' : 'ed25519',
      public_key: publicKey.export({ type: 'spki', format: 'pem' }) as string,
      certificate: words !== undefined ? await tlsAuthorityCertificate(privateKey, name, now) : null,
      private_sealed: sealed,
      created_at: now,
    }
  }
}

function created({ id, kind, algorithm, public_key }: AuthoritiesTable): NewEvent {
  return {
    type: 'ca.create',
    actor: SYSTEM,
    outcome: 'success',
    details: { id, kind, algorithm, publicKey: public_key },
    rows: [{ table: 'authorities', id }],
  }
}

function publicText(row: AuthoritiesTable, publicKey: KeyObject): string {
  if (row.certificate !== null) return row.certificate
  if (row.kind === 'checkpoint') return row.public_key
  return formatPublicKeyLine(publicKeyOf(publicKey).blob, `sallyport-${row.kind}`)
}
