import type { AccessRequests } from '../access/access-requests.ts'
import { decideAccess } from '../connection/decide-access.ts'
import type { VisibleDatabase } from '../contract/database.ts'
import { normaliseName } from '../formats/name.ts'
import { Refused } from '../foundation/errors.ts'
import { resourceStandings } from '../grants/resource-standing.ts'
import type { DatabaseRow, Snapshot } from '../grants/snapshot.ts'
import { rolesUsable } from '../grants/working-roles.ts'
import { allOf, databaseAccess } from '../identity/database-access.ts'
import { issueDatabaseCertificate } from '../identity/database-certificates.ts'
import { answerOf } from './check-access.ts'
import type { CallContext, Handlers } from './handler.ts'
import { signedInOf, type IdentityServices } from './identity-services.ts'

export interface DatabaseServices {
  readonly identity: IdentityServices
  readonly snapshot: Snapshot
  readonly requests: Pick<AccessRequests, 'pendingFor'>
  /** Port for MySQL clients; null: none is open */
  readonly mysqlPort: () => number | null
}

/** `sally db`: what the caller may use or ask for, and certificates for it. Nothing else is known to exist. */
export function databaseHandlers(services: DatabaseServices): Handlers {
  const { snapshot, identity } = services
  const { clock, authorities, proxyName } = identity
  return {
    listDatabases: (context) => {
      const items = [...snapshot.databases()].flatMap((database) => visible(services, context, database) ?? [])
      return Promise.resolve({ items: items.sort((a, b) => (a.name < b.name ? -1 : 1)) })
    },
    async checkDatabaseAccess(context, { params, query }) {
      const name = nameIn(params)
      const login = snapshot.login(context.login?.id ?? '')
      const question = {
        userId: context.login?.userId ?? '',
        loginSessionId: context.login?.id ?? '',
        // Whether it may be used is asked, not whether a certificate for it was made already.
        keyFingerprint: login?.x509_fingerprint ?? null,
        protocol: snapshot.databaseNamed(name)?.protocol ?? ('postgres' as const),
        database: name,
        dbUser: query.dbUser ?? null,
        dbName: query.dbName ?? null,
        live: null,
      }
      const decision = decideAccess(snapshot, question, clock.now())
      return answerOf(context, services, decision, { place: { kind: 'database', name }, account: question.dbUser })
    },
    async issueDatabaseCertificate(context, { params, body }) {
      const name = nameIn(params)
      const database = snapshot.databaseNamed(name)
      if (!database || !visible(services, context, database)) throw unknown(name)
      const port = database.protocol === 'mysql' ? mysqlPort(services) : null
      const issued = await issueDatabaseCertificate(identity, {
        ...signedInOf(context),
        database: { id: database.id, name },
        publicKey: body.publicKey,
      })
      return {
        database: { name, protocol: database.protocol },
        ...issued,
        serverAuthority: authorities.tlsAuthorityPem(),
        serverName: proxyName,
        port,
      }
    },
  }
}

function visible(
  { snapshot, identity }: DatabaseServices,
  context: CallContext,
  database: DatabaseRow,
): VisibleDatabase | null {
  const user = snapshot.user(context.login?.userId ?? '')
  if (!user) return null
  const now = identity.clock.now()
  const login = snapshot.login(context.login?.id ?? '') ?? null
  const standing = resourceStandings(snapshot, user, login, now)(database)
  if (!standing) return null
  const gifts = databaseAccess(rolesUsable(snapshot, user, login, now), database)
  const { id, name, protocol, labels } = database
  const made = database.isJustInTime === true
  return {
    ...{ id, name, protocol, labels: { ...labels } },
    dbUsers: made ? gifts.slice(0, 1).map(() => user.name) : allOf(gifts, 'users'),
    dbNames: allOf(gifts, 'names'),
    ...(made ? { dbRoles: [...new Set(gifts.flatMap((gift) => gift.dbRoles ?? []))].sort() } : {}),
    requestableRoles: standing.helpful.flatMap(({ role, asRole }) => (asRole ? [role.name] : [])),
    searchRoles: standing.helpful.flatMap(({ role, asResource }) => (asResource ? [role.name] : [])),
    accessUntil: standing.accessUntil,
  }
}

function mysqlPort({ mysqlPort: portOf }: DatabaseServices): number {
  const port = portOf()
  if (port !== null) return port
  throw new Refused('not_found', 'this proxy takes no MySQL clients', 'the operators can set mysql.listen')
}

function nameIn(params: Readonly<Record<string, string>>): string {
  const named = normaliseName(params['name'] ?? '')
  if (!named.ok) throw new Refused('malformed', `that is no name of a database: ${named.message}`)
  return named.name
}

const unknown = (name: string): Refused =>
  new Refused('resource_unknown', `there is no database ${name} that you may use or ask for`, 'see: sally db ls')
