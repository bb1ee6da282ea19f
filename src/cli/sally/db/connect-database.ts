import { EXIT } from '../../../contract/errors.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { harmless } from '../../shared/harmless.ts'
import { requireAccount } from '../../shared/profile.ts'
import { askAndWait, type AskOrder } from '../connect/ask-and-wait.ts'
import { conninfo, environment, type ClientSettings } from './client-settings.ts'
import { databaseFiles, store } from './database-files.ts'
import { signInToDatabase, type DatabaseChoice } from './sign-in-to-database.ts'

export type ConnectOptions = Omit<AskOrder, 'again'>

/** The stock client with this account's certificate; what it exits with is what we exit with. No file of one's own is touched. */
export async function connectDatabase(
  context: CommandContext,
  choice: DatabaseChoice,
  args: readonly string[],
  options: ConnectOptions,
): Promise<number> {
  await requireAccount(context.profiles, context.terminal.clock.now())
  const exit = await askForMissing(context, choice, options)
  if (exit !== null) return exit
  const { settings } = await signInToDatabase(context, await context.dial.signedIn(context), choice)
  if (settings.protocol === 'postgres') return context.execute('psql', [conninfo(settings), ...args])
  return context.execute('mysql', [...(await mysqlOptions(context, settings)), ...args])
}

/** Options behind `--defaults-extra-file` win over what the person's own files say of any server. */
async function mysqlOptions(context: CommandContext, settings: ClientSettings): Promise<string[]> {
  const { database, host, port, dbUser, dbName, files } = settings
  const file = databaseFiles(context).options(database)
  // MariaDB's clients check the certificate only where they are told to; MySQL's do not know this option.
  await store(context, file, '[client-mariadb]\nssl-verify-server-cert\n')
  return [
    `--defaults-extra-file=${file}`,
    ...['--protocol=TCP', `--host=${host}`, `--port=${port}`],
    ...(dbUser === null ? [] : [`--user=${dbUser}`]),
    ...(dbName === null ? [] : [`--database=${dbName}`]),
    ...[`--ssl-ca=${files.authority}`, `--ssl-cert=${files.certificate}`, `--ssl-key=${files.key}`],
  ]
}

/** Null: go on and connect; whatever is still missing then is refused there. */
async function askForMissing(
  context: CommandContext,
  { database, dbUser, dbName }: DatabaseChoice,
  options: ConnectOptions,
): Promise<number | null> {
  if (!options.request && !context.terminal.interactive) return null
  const api = await context.dial.signedIn(context)
  const query = { ...(dbUser === undefined ? {} : { dbUser }), ...(dbName === undefined ? {} : { dbName }) }
  const look = () =>
    api.checkDatabaseAccess({ params: { name: database }, query, signal: context.terminal.interrupted })
  const first = await look()
  if (first.ok) return null
  const chosen = [
    ...(dbUser === undefined ? [] : [`--db-user=${dbUser}`]),
    ...(dbName === undefined ? [] : [`--db-name=${dbName}`]),
  ]
  const again = ['sally db connect', ...chosen, database].join(' ')
  const outcome = await askAndWait(context, api, first, { ...options, again })
  if (outcome === null) return null
  if (outcome.kind === 'over') return outcome.exit
  // Approved may mean: later, or for less.
  const now = await look()
  if (now.ok) return null
  for (const line of now.lines) context.warn(harmless(line.replace(/^sallyport: /, '')))
  return EXIT.denied
}

/** Lines for `eval`, for programs that read libpq's variables. */
export async function databaseEnvironment(context: CommandContext, choice: DatabaseChoice): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { settings } = await signInToDatabase(context, api, choice)
  const variables = environment(settings)
  await context.show(Object.fromEntries(variables), () =>
    variables.map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`).join('\n'),
  )
}
