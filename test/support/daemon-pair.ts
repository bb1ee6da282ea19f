// Two real daemons on one PostgreSQL database, as two hosts behind one name would run them.
//
//   const pair = await startPair()            // { server, database, a, b }; `await pair.stop()`
//
// They share what several hosts must share: the database, the key that seals secrets, the folder of recordings.
import { join } from 'node:path'
import { PostgresServer, type PostgresServerOptions } from './postgres.ts'
import { startSallyport, type Sallyport, type SallyportOptions } from './sallyport.ts'
import { tempFolder } from './temp-folder.ts'

export interface DaemonPair extends AsyncDisposable {
  readonly server: PostgresServer
  /** Its name on the server */
  readonly database: string
  readonly a: Sallyport
  readonly b: Sallyport
  stop(): Promise<void>
}

export interface PairOptions extends SallyportOptions {
  readonly server?: PostgresServerOptions
}

export async function startPair({ server: serverOptions, ...options }: PairOptions = {}): Promise<DaemonPair> {
  const shared = tempFolder('pair')
  const server = await PostgresServer.start(serverOptions)
  const started: Sallyport[] = []
  const stop = async (): Promise<void> => {
    for (const sallyport of started.splice(0)) await sallyport.stop()
    await server.stop()
    shared[Symbol.dispose]()
  }
  try {
    const database = await server.database()
    const config = {
      storage: server.url(database),
      key_encryption: `file:${shared.file('key')}`,
      recordings_dir: join(shared.path, 'recordings'),
      ...options.config,
    }
    for (let count = 0; count < 2; count++) started.push(await startSallyport({ ...options, config }))
    const [a, b] = started as [Sallyport, Sallyport]
    return { server, database, a, b, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}
