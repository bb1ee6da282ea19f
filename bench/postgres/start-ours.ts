import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { startDaemonProcess } from '../../src/main/demo/daemon-process.ts'
import { layoutOf } from '../../src/main/demo/layout.ts'
import { enrol } from '../../src/main/demo/people.ts'
import { runSally } from '../../src/main/demo/run-sally.ts'
import { bundledPrograms } from '../../src/main/demo/wrappers.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { PostgresServer } from '../../test/support/postgres.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import { DATABASE, USER, type PostgresTarget } from './postgres-target.ts'

export interface Ours extends AsyncDisposable {
  readonly targets: readonly [PostgresTarget, ...PostgresTarget[]]
  /** PEM: signs what the server is shown */
  readonly authority: string
}

const MODES = ['strict', 'best_effort'] as const

/**
 * The daemon with TLS to the server, signed in there by a certificate for each connection. One way in for each mode of
 * recording, the default first. `ca`: PEM file of whoever signed the server's certificate.
 */
export async function startOurs(folder: TempFolder, server: PostgresServer, ca: string): Promise<Ours> {
  const layout = layoutOf(folder.file('sallyport'))
  const programs = bundledPrograms(resolve(import.meta.dirname, '../..'))
  const daemon = await startDaemonProcess(systemClock, layout, programs)
  try {
    const { items } = await daemon.api.listAuthorities({})
    const tls = { mode: 'verify-full', ca: readFileSync(ca, 'utf8'), server_name: 'localhost' }
    for (const mode of MODES) {
      const allow = { db_labels: { mode }, db_users: [USER], db_names: [DATABASE] }
      const role = {
        kind: 'role',
        metadata: { name: roleOf(mode) },
        spec: { allow, options: { record_session: mode } },
      }
      const spec = { protocol: 'postgres', address: `127.0.0.1:${server.port}`, tls, auth: { kind: 'certificate' } }
      const database = { kind: 'database', metadata: { name: databaseOf(mode), labels: { mode } }, spec }
      for (const document of [role, database]) await daemon.api.createDocument({ body: { document } })
    }
    // A person for each: the strictest role of somebody decides how all of their sessions are recorded.
    const targets: PostgresTarget[] = []
    for (const mode of MODES) {
      const account = `bench-${mode.replace('_', '-')}`
      await enrol({ name: account, roles: [roleOf(mode)], traits: {} }, layout, programs, daemon.api)
      const env = ['db', 'env', databaseOf(mode), `--db-user=${USER}`, `--db-name=${DATABASE}`, '--format=json']
      const printed = await runSally(layout.account(account).home, programs.proxyCommand, env)
      targets.push({ name: `Sallyport ${mode}`, env: Environment.parse(JSON.parse(printed)), pid: daemon.pid })
    }
    const [strict, ...others] = targets
    if (!strict) throw new Error('no way in')
    return {
      targets: [strict, ...others],
      authority: items.find(({ kind, state }) => kind === 'database-x509' && state === 'active')?.public ?? '',
      [Symbol.asyncDispose]: () => daemon.stop(),
    }
  } catch (error) {
    await daemon.stop()
    throw error
  }
}

const Environment = z.record(z.string(), z.string())
const roleOf = (mode: (typeof MODES)[number]): string => `records-${mode.replace('_', '-')}`
const databaseOf = (mode: (typeof MODES)[number]): string => `bench-${mode.replace('_', '-')}`
