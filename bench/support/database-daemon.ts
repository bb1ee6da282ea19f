// The daemon in front of a database, with one person and one way in for each mode of recording.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { startDaemonProcess } from '../../src/main/demo/daemon-process.ts'
import { layoutOf } from '../../src/main/demo/layout.ts'
import { enrol } from '../../src/main/demo/people.ts'
import { runSally } from '../../src/main/demo/run-sally.ts'
import { bundledPrograms } from '../../src/main/demo/wrappers.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'

const MODES = ['strict', 'best_effort'] as const

export interface DatabaseOrder {
  readonly protocol: 'postgres' | 'mysql'
  readonly port: number
  /** PEM file of whoever signed the server's certificate, which is for localhost */
  readonly ca: string
  readonly dbUser: string
  readonly dbName: string
  /** Lines of the daemon's configuration */
  readonly config?: readonly string[]
}

export interface WayIn {
  readonly name: string
  readonly database: string
  /** Runs `sally` as the person with this way in. */
  sally(args: readonly string[]): Promise<string>
}

export interface DatabaseDaemon extends AsyncDisposable {
  readonly pid: number
  /** The default configuration first */
  readonly ways: readonly [WayIn, ...WayIn[]]
  /** PEM: signs what the server is shown */
  readonly authority: string
}

/** TLS to the server, signed in there by a certificate for each connection. */
export async function startDatabaseDaemon(folder: TempFolder, order: DatabaseOrder): Promise<DatabaseDaemon> {
  const { protocol, port, ca, dbUser, dbName, config = [] } = order
  const layout = layoutOf(folder.file('sallyport'))
  const programs = bundledPrograms(resolve(import.meta.dirname, '../..'))
  const daemon = await startDaemonProcess(systemClock, layout, programs, 0, config)
  try {
    const { items } = await daemon.api.listAuthorities({})
    const tls = { mode: 'verify-full', ca: readFileSync(ca, 'utf8'), server_name: 'localhost' }
    const ways: WayIn[] = []
    for (const mode of MODES) {
      const name = mode.replace('_', '-')
      const allow = { db_labels: { mode }, db_users: [dbUser], db_names: [dbName] }
      const options = { record_session: mode }
      const role = { kind: 'role', metadata: { name: `records-${name}` }, spec: { allow, options } }
      const spec = { protocol, address: `127.0.0.1:${port}`, tls, auth: { kind: 'certificate' } }
      const database = { kind: 'database', metadata: { name: `bench-${name}`, labels: { mode } }, spec }
      for (const document of [role, database]) await daemon.api.createDocument({ body: { document } })
      // A person for each: the strictest role of somebody decides how all of their sessions are recorded.
      const account = `bench-${name}`
      await enrol({ name: account, roles: [`records-${name}`], traits: {} }, layout, programs, daemon.api)
      const { home } = layout.account(account)
      ways.push({
        name: `Sallyport ${mode}`,
        database: `bench-${name}`,
        sally: (args) => runSally(home, programs.proxyCommand, args, { HOME: home }),
      })
    }
    const [strict, ...others] = ways
    if (!strict) throw new Error('no way in')
    return {
      pid: daemon.pid,
      ways: [strict, ...others],
      authority: items.find(({ kind, state }) => kind === 'database-x509' && state === 'active')?.public ?? '',
      [Symbol.asyncDispose]: () => daemon.stop(),
    }
  } catch (error) {
    await daemon.stop()
    throw error
  }
}
