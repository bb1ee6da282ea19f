import type { Client } from '../../../contract/client.ts'
import type { DatabaseCertificate, VisibleDatabase } from '../../../contract/database.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { requireAccount } from '../../shared/profile.ts'
import type { ClientSettings } from './client-settings.ts'
import { databaseFiles, publicKeyFor, store } from './database-files.ts'

export interface DatabaseChoice {
  readonly database: string
  readonly dbUser: string | undefined
  readonly dbName: string | undefined
}

export interface SignedInToDatabase {
  readonly settings: ClientSettings
  readonly issued: DatabaseCertificate
  readonly visible: VisibleDatabase | null
}

/** Fetches a certificate for this device's key and stores it. Files of the person's own are not touched. */
export async function signInToDatabase(
  context: CommandContext,
  api: Client,
  choice: DatabaseChoice,
): Promise<SignedInToDatabase> {
  const { proxy } = await requireAccount(context.profiles, context.terminal.clock.now())
  const issued = await storeCertificate(context, api, choice.database)
  const visible = (await api.listDatabases({})).items.find(({ name }) => name === issued.database.name) ?? null
  const files = databaseFiles(context)
  const settings: ClientSettings = {
    database: issued.database.name,
    protocol: issued.database.protocol,
    host: proxy.host,
    port: issued.port ?? proxy.port,
    dbUser: choice.dbUser ?? onlyOne(visible?.dbUsers),
    dbName: choice.dbName ?? onlyOne(visible?.dbNames),
    files: { certificate: files.certificate(issued.database.name), key: files.key, authority: files.authority },
  }
  return { settings, issued, visible }
}

export async function storeCertificate(
  context: CommandContext,
  api: Client,
  database: string,
): Promise<DatabaseCertificate> {
  const name = database.toLowerCase()
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name))
    throw new CommandFailed('usage', `"${database.slice(0, 63)}" is no name of a database`, 'Run: sally db ls')
  const publicKey = await publicKeyFor(context)
  const issued = await api.issueDatabaseCertificate({ params: { name }, body: { publicKey } })
  const files = databaseFiles(context)
  await store(context, files.authority, issued.serverAuthority)
  await store(context, files.certificate(issued.database.name), issued.certificate)
  return issued
}

/** A name that leaves no choice; patterns of roles leave one. */
function onlyOne(names: readonly string[] = []): string | null {
  const [only] = names
  return only !== undefined && names.length === 1 && !/^\^|\*/.test(only) ? only : null
}
