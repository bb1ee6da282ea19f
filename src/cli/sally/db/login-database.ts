import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { optionLines, serviceLines, type ClientSettings } from './client-settings.ts'
import { databasesHere, forgetDatabase, forgetDatabaseKey, ownFiles } from './database-files.ts'
import { editOwnFile, readOwnFile } from './edit-own-file.ts'
import { blocksIn, putBlock, removeBlock, type Edited, type FileText } from './managed-block.ts'
import { signInToDatabase, type DatabaseChoice } from './sign-in-to-database.ts'

export async function loginDatabase(context: CommandContext, choice: DatabaseChoice): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { settings, issued, visible } = await signInToDatabase(context, api, choice)
  const { file, changed } = await writeBlock(context, settings)
  const { database, protocol, host, port, dbUser, dbName, files } = settings
  const data = { database, protocol, host, port, dbUser, dbName, ...files, file, changed, expiresAt: issued.expiresAt }
  await context.show(data, () =>
    [
      `Signed in to ${database} until ${localTime(issued.expiresAt)}; ${harmless(file)} knows it.`,
      `Connect: ${commandFor(settings)}`,
    ].join('\n'),
  )
  const names = visible?.dbUsers ?? []
  if (names.length === 0)
    context.warn(`you have no access to ${database} yet. Ask: sally request create --resource=database/${database}`)
  else if (dbUser === null)
    context.warn(
      harmless(`no db user is set: name one of ${names.join(', ')} with --db-user, or each time you connect`),
    )
}

const commandFor = ({ database, protocol, dbUser, dbName }: ClientSettings): string => {
  if (protocol === 'mysql') return `mysql --defaults-group-suffix=_${database}${dbUser === null ? ' --user=USER' : ''}`
  const more = [...(dbUser === null ? ['user=USER'] : []), ...(dbName === null ? ['dbname=NAME'] : [])]
  return more.length === 0 ? `psql service=${database}` : `psql "service=${database} ${more.join(' ')}"`
}

async function writeBlock(
  context: CommandContext,
  settings: ClientSettings,
): Promise<{ readonly file: string; readonly changed: boolean }> {
  const own = ownFiles(context)
  const isMysql = settings.protocol === 'mysql'
  const file = isMysql ? own.options : own.services
  const lines = isMysql ? optionLines(settings) : serviceLines(settings)
  const heads = lines.filter((line) => line.startsWith('['))
  const changed = await editOwnFile(file, (text) => {
    const without = removeBlock(text, settings.database)
    if (without.ok) refuseOwnSection(without.text, heads, file)
    return putBlock(text, settings.database, lines)
  })
  return { file, changed }
}

/** Of two sections with one name a client takes the first, or parts of both. */
function refuseOwnSection(text: FileText, heads: readonly string[], file: string): void {
  const own = text.split('\n').find((line) => heads.includes(line.trim()))
  if (own === undefined) return
  throw new CommandFailed(
    'conflict',
    harmless(`${file} has a section ${own.trim()} of your own`),
    'Rename it first: two sections of one name mix.',
  )
}

/** One database, or all: certificates and blocks go; with the last one the key. */
export async function logoutDatabase(context: CommandContext, database: string | undefined): Promise<void> {
  const here = await databasesHere(context)
  const own = ownFiles(context)
  const blocks = (await Promise.all([own.services, own.options].map(readOwnFile))).flatMap((text) =>
    blocksIn(text ?? ''),
  )
  const all = [...new Set([...here, ...blocks])].sort()
  const gone = database === undefined ? all : all.filter((name) => name === database.toLowerCase())
  if (database !== undefined && gone.length === 0)
    throw new CommandFailed('notFound', `you are not signed in to ${database.slice(0, 63)}`, 'Run: sally db ls')
  for (const name of gone) await forget(context, name)
  if ((await databasesHere(context)).length === 0) await forgetDatabaseKey(context)
  await context.show({ removed: gone }, () =>
    gone.length === 0 ? 'Nothing to remove.' : `Removed: ${gone.join(', ')}.`,
  )
}

async function forget(context: CommandContext, name: string): Promise<void> {
  const own = ownFiles(context)
  const edit = (text: FileText): Edited => removeBlock(text, name)
  for (const file of [own.services, own.options]) if ((await readOwnFile(file)) !== null) await editOwnFile(file, edit)
  await forgetDatabase(context, name)
}

/** When somebody signs out altogether: nothing is said, and a file that cannot be changed keeps nobody from signing out. */
export async function forgetDatabases(context: CommandContext): Promise<void> {
  for (const name of await databasesHere(context)) {
    await forget(context, name).catch((error: unknown) =>
      context.warn(harmless(`${name}: ${error instanceof Error ? error.message : String(error)}`)),
    )
  }
  await forgetDatabaseKey(context)
}
