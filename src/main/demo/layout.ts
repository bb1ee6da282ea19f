import { join } from 'node:path'

/** Where the demo keeps everything it makes: one folder of the checkout, made anew at each start. */
export interface Layout {
  readonly folder: string
  /** Says which process plays; a second start looks here. */
  readonly pidFile: string
  readonly configFile: string
  readonly dataFolder: string
  readonly daemonLog: string
  readonly adminSocket: string
  readonly database: string
  account(name: string): { readonly home: string; readonly bin: string; readonly secrets: string }
  node(name: string): { readonly folder: string; readonly home: string; readonly log: string }
}

export function layoutOf(folder: string): Layout {
  const data = join(folder, 'data')
  return {
    folder,
    pidFile: join(folder, 'pid'),
    configFile: join(folder, 'sallyport.yaml'),
    dataFolder: data,
    daemonLog: join(folder, 'sallyport.log'),
    adminSocket: join(data, 'admin', 'sallyport.sock'),
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
