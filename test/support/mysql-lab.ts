// A real MariaDB server, our relay in front of it, and files for the stock programs.
import { MysqlRelay } from '../../src/connection/relay/mysql/mysql-relay.ts'
import {
  DatabaseLab,
  labControl,
  labGround,
  listen,
  PASSWORD,
  relayDeps,
  type DatabaseLabOptions,
} from './database-lab.ts'
import { MariadbServer, type MariadbOptions } from './mariadb.ts'
import { needProgram } from './need-program.ts'
import { run, type Finished, type RunOptions } from './run.ts'
import type { KeyAndCertificate } from './test-authority.ts'

export { PASSWORD } from './database-lab.ts'

export interface MysqlLabOptions extends DatabaseLabOptions {
  readonly server?: MariadbOptions
  readonly threadElsewhere?: (digest: string) => Promise<number | null>
}

export class MysqlLab extends DatabaseLab<MariadbServer, MysqlRelay> {
  /** The account `app` has the password and all rights on the database `shop`; `bycert` signs in by certificate. */
  static async start(options: MysqlLabOptions = {}): Promise<MysqlLab> {
    const ground = await labGround()
    const clientAuthorities = ground.databaseAuthority.certificatePem
    const server = await MariadbServer.start({ clientAuthorities, ...options.server })
    await server.sql(`
      create database shop;
      create user app@'%' identified by '${PASSWORD}';
      grant all on shop.* to app@'%';
      create user bycert@'%' require subject '/CN=bycert';
      grant all on shop.* to bycert@'%';
    `)
    const control = labControl(ground, 'mysql', server)
    control.passwords.set('app', PASSWORD)
    const relay = new MysqlRelay({
      ...(await relayDeps(ground, control, options)),
      threadElsewhere: options.threadElsewhere ?? (() => Promise.resolve(null)),
    })
    const listener = await listen((socket) => void relay.handle({ socket, address: '127.0.0.1', signedIn: () => {} }))
    return new MysqlLab({ ...ground, server, serverAuthority: server.authority, control, relay, listener })
  }

  /** Options that make a stock client of MariaDB come through the proxy. */
  async clientOptions(as: KeyAndCertificate | null = null): Promise<readonly string[]> {
    const { key, certificate } = await this.certificateFiles(as)
    return [
      '-h127.0.0.1',
      `-P${String(this.port)}`,
      `--ssl-ca=${this.proxyCa}`,
      `--ssl-cert=${certificate}`,
      `--ssl-key=${key}`,
    ]
  }

  /** Runs the stock command line client through the proxy. */
  async mysql(
    args: readonly string[],
    options: RunOptions & { readonly user?: string; readonly as?: KeyAndCertificate } = {},
  ): Promise<Finished> {
    const { user = 'app', as = null, ...others } = options
    const connection = await this.clientOptions(as)
    return run(
      needProgram('mariadb'),
      ['--no-defaults', ...connection, '--ssl-verify-server-cert', `-u${user}`, ...args],
      { timeout: 30_000, ...others },
    )
  }
}
