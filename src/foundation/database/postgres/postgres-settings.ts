/** Where the server is and how it is talked to. Holds a secret: never logged, never an argument of a process. */
export interface PostgresSettings {
  /** Name, address, or the folder of a Unix socket */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string | null
  /** null: in clear, for a Unix socket or the loopback */
  readonly tls: PostgresTls | null
  readonly connectTimeoutMs: number
  /** Longest statement, waiting for the write lock included */
  readonly statementTimeoutMs: number
  /** Connections for reading; three more are for writing, listening and checking. */
  readonly connections: number
}

/** The server's certificate is always verified, its name included. PEM texts; `ca` null: the authorities of the system. */
export interface PostgresTls {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** For people, logs and events. */
export function describePostgres({ host, port, user, database }: PostgresSettings): string {
  const server = host.startsWith('/') ? '' : `${host.includes(':') ? `[${host}]` : host}:${String(port)}`
  const socket = host.startsWith('/') ? `?host=${host}&port=${String(port)}` : ''
  return `postgres://${user}@${server}/${database}${socket}`
}
