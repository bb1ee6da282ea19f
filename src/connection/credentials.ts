import { Refused } from '../foundation/errors.ts'
import type { AuthorizationFacts, DatabaseFacts, SshPermissions } from './authorization.ts'
import type { Minted, MintInput } from './control-plane.ts'

export interface OnwardOrder {
  readonly publicKey: Uint8Array
  readonly login: string
  readonly userName: string
  readonly sessionId: string
  readonly sourceAddress: string | null
  readonly permissions: SshPermissions
}

export interface DatabaseCertificateOrder {
  /** DER SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array
  readonly dbUser: string
  readonly sessionId: string
}

/** The keys and secrets that open targets. Main gives the real ones. */
export interface Credentials {
  onwardCertificate(order: OnwardOrder): Promise<Uint8Array>
  /** DER */
  databaseCertificate(order: DatabaseCertificateOrder): Promise<Uint8Array>
  /** Errors: Refused when none is stored. */
  databasePassword(databaseId: string, dbUser: string): Promise<string>
}

/** What the target of these facts is shown, and nothing else. Errors: Refused('not_allowed') for another kind. */
export async function mintFor(facts: AuthorizationFacts, input: MintInput, credentials: Credentials): Promise<Minted> {
  if (facts.protocol !== 'ssh') return mintForDatabase(facts, input, credentials)
  if (input.kind !== 'ssh-certificate') throw otherKind()
  const certificate = await credentials.onwardCertificate({
    publicKey: input.publicKey,
    login: facts.login,
    userName: facts.user.name,
    sessionId: facts.sessionId,
    permissions: facts.permissions,
    sourceAddress: input.sourceAddress,
  })
  return { kind: 'certificate', certificate }
}

async function mintForDatabase(facts: DatabaseFacts, input: MintInput, credentials: Credentials): Promise<Minted> {
  const { dbUser, sessionId, database, credential } = facts
  if (credential === 'password' && input.kind === 'password')
    return { kind: 'password', password: await credentials.databasePassword(database.id, dbUser) }
  if (credential !== 'certificate' || input.kind !== 'x509-certificate') throw otherKind()
  const { publicKey } = input
  return { kind: 'certificate', certificate: await credentials.databaseCertificate({ publicKey, dbUser, sessionId }) }
}

const otherKind = (): Refused => new Refused('not_allowed', 'this authorization is for another kind of credential')
