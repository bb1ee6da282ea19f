import { join } from 'node:path'

/** Where the demo keeps everything it makes: one folder of the checkout, made anew at each start. */
export interface Layout {
  readonly folder: string
  /** Says which process plays; a second start looks here. */
  readonly pidFile: string
  /** One process group a line, for a start after one that was killed. */
  readonly serversFile: string
  readonly configFile: string
  readonly dataFolder: string
  readonly daemonLog: string
  readonly adminSocket: string
  readonly database: string
  /** Outside the data folder, as the daemon's default is. */
  readonly checkpointFile: string
  account(name: string): { readonly home: string; readonly bin: string; readonly secrets: string }
  node(name: string): { readonly folder: string; readonly home: string; readonly log: string }
}

export function layoutOf(folder: string): Layout {
  const data = join(folder, 'data')
  return {
    folder,
    pidFile: join(folder, 'pid'),
    serversFile: join(folder, 'servers'),
    configFile: join(folder, 'sallyport.yaml'),
    dataFolder: data,
    daemonLog: join(folder, 'sallyport.log'),
    adminSocket: join(data, 'admin', 'sallyport.sock'),
    checkpointFile: join(`${data}-checkpoints`, 'checkpoints.jsonl'),
    database: join(data, 'sallyport.db'),
    account: (name) => {
      const own = join(folder, 'accounts', name)
      return { home: own, bin: join(own, 'bin'), secrets: join(own, 'secrets.json') }
    },
    node: (name) => {
      const own = join(folder, 'nodes', name)
      return { folder: own, home: join(own, 'home'), log: join(own, 'sshd.log') }
    },
  }
}
