import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Account } from './account.ts'
import { asAccount } from './fault-house.ts'

/** What a stock client needs to come through the proxy as this account: files in its home. */
export interface DatabaseClientFiles {
  readonly port: number | null
  readonly keyFile: string
  readonly certificateFile: string
  readonly authorityFile: string
}

/** Asks the API for a database certificate, as `sally db login` does. Fails when it is refused. */
export async function databaseClient(account: Account, database: string): Promise<DatabaseClientFiles> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const issued = await asAccount(account, (api) =>
    api.issueDatabaseCertificate({ params: { name: database }, body: { publicKey: spki } }),
  )
  const file = (name: string, text: string): string => {
    const path = join(account.home, `${database}-${name}`)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  return {
    port: issued.port,
    keyFile: file('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    certificateFile: file('cert.pem', issued.certificate),
    authorityFile: file('ca.pem', issued.serverAuthority),
  }
}
