import type { Client } from '../../../contract/client.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { harmless } from '../../shared/harmless.ts'
import { databasesHere } from './database-files.ts'
import { storeCertificate } from './sign-in-to-database.ts'

/** A new login session ends the certificates of the one before: those that were here are made anew. Never fails. */
export async function renewCertificates(context: CommandContext, api: Client): Promise<void> {
  for (const database of await databasesHere(context)) {
    await storeCertificate(context, api, database).catch((error: unknown) =>
      context.warn(
        harmless(`no new certificate for ${database}: ${error instanceof Error ? error.message : String(error)}`),
      ),
    )
  }
}
