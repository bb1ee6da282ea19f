// What is measured through: the server itself, or something in front of it.
export interface PostgresTarget {
  readonly name: string
  /** What makes a stock program of PostgreSQL come this way */
  readonly env: Readonly<Record<string, string>>
  /** Root of the tree of processes whose CPU time is the proxy's; null: the server itself */
  readonly pid: number | null
}

export const DATABASE = 'bench'
export const USER = 'app'

/** TLS 1.3 and a client certificate on every way in. */
export function tlsEnv(
  port: number,
  files: { readonly ca: string; readonly certificate: string; readonly key: string },
): Readonly<Record<string, string>> {
  return {
    PGHOST: 'localhost',
    PGHOSTADDR: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: USER,
    PGDATABASE: DATABASE,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: files.ca,
    PGSSLCERT: files.certificate,
    PGSSLKEY: files.key,
    PGCONNECT_TIMEOUT: '30',
  }
}
