/** Where a PostgreSQL store is, as its URL says. */
export interface StorageUrl {
  /** Name, address, or the folder of a Unix socket */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
}

export type StorageUrlResult =
  | { readonly ok: true; readonly url: StorageUrl }
  | { readonly ok: false; readonly message: string }

const SCHEMES = ['postgres:', 'postgresql:']
const DEFAULT_PORT = 5432
const NAME = /^[A-Za-z0-9_.$-]{1,63}$/

/** `postgres://USER@HOST[:PORT]/DATABASE`, or `postgres://USER@/DATABASE?host=/FOLDER` for a Unix socket. Never a password. */
export function parseStorageUrl(text: string): StorageUrlResult {
  const no = (message: string): StorageUrlResult => ({ ok: false, message })
  if (!URL.canParse(text.replace('@/', '@socket/'))) return no('write postgres://USER@HOST:PORT/DATABASE')
  const url = new URL(text.replace('@/', '@socket/'))
  if (!SCHEMES.includes(url.protocol)) return no('write postgres://USER@HOST:PORT/DATABASE')
  if (url.password !== '' || /:[^@/]*@/.test(text.slice(text.indexOf('//') + 2)))
    return no('a password does not belong into this line: name its file with postgres.password')
  const { user, database } = {
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
  }
  if (!NAME.test(user)) return no('name the user: postgres://USER@HOST:PORT/DATABASE')
  if (!NAME.test(database)) return no('name the database: postgres://USER@HOST:PORT/DATABASE')
  const socket = url.searchParams.get('host')
  const unknown = [...url.searchParams.keys()].find((key) => key !== 'host' && key !== 'port')
  if (unknown !== undefined)
    return no(`unknown ${unknown}; only host=/FOLDER and port of a Unix socket may follow the question mark`)
  const isSocket = text.includes('@/')
  if (isSocket !== (socket !== null) || (socket !== null && !socket.startsWith('/')))
    return no('a Unix socket is written postgres://USER@/DATABASE?host=/FOLDER')
  const port = Number(url.searchParams.get('port') ?? (url.port || DEFAULT_PORT))
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return no('the port is no number from 1 to 65535')
  return { ok: true, url: { host: socket ?? url.hostname.replace(/^\[|\]$/g, ''), port, user, database } }
}

/** A connection that leaves the machine must be encrypted; one that does not need not be. */
export function staysOnMachine({ host }: Pick<StorageUrl, 'host'>): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
