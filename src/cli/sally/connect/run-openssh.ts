import { ApiError } from '../../../contract/api-error.ts'
import type { Client } from '../../../contract/client.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { EXIT } from '../../../contract/errors.ts'
import { harmless } from '../../shared/harmless.ts'
import { requireAccount } from '../../shared/profile.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'
import { askAndWait, type AskOrder } from './ask-and-wait.ts'
import { destinations, type Destination } from './destinations.ts'

export type AskOptions = Omit<AskOrder, 'again'>

/**
 * The stock program with this account's configuration; what it exits with is what we exit with. Where access is missing
 * and could be asked for, it is asked for first: on a terminal after a question, else with --request alone.
 */
export async function runOpenssh(
  context: CommandContext,
  program: 'ssh' | 'scp',
  args: readonly string[],
  options: AskOptions,
): Promise<number> {
  await requireAccount(context.profiles, context.terminal.clock.now())
  const { profiles } = context
  let nodes = knownNodes(await profiles.read('ssh_config'))
  if (!mentions(nodes, args)) {
    // Perhaps it is new: one question, and only then.
    await refreshSshConfig(context, await context.dial.signedIn(context))
    nodes = knownNodes(await profiles.read('ssh_config'))
    if (!mentions(nodes, args))
      throw new CommandFailed('notFound', 'none of these words is a node that you may know of', 'Run: sally ls')
  }
  if (options.request || context.terminal.interactive) {
    const order = { ...options, again: ['sally', program, ...args].map(shellWord).join(' ') }
    const exit = await askForMissing(context, destinations(program, args, nodes), order)
    if (exit !== null) return exit
  }
  return context.execute(program, ['-F', profiles.path('ssh_config'), ...args])
}

/** Null: go on and connect; whatever is still missing then is refused there. */
async function askForMissing(
  context: CommandContext,
  places: readonly Destination[],
  order: AskOrder,
): Promise<number | null> {
  if (places.length === 0) return null
  const api = await context.dial.signedIn(context)
  for (const place of places) {
    const exit = await askForOne(context, api, place, order)
    if (exit !== null) return exit
  }
  return null
}

async function askForOne(
  context: CommandContext,
  api: Client,
  { node, login }: Destination,
  order: AskOrder,
): Promise<number | null> {
  const look = () =>
    api.checkAccess({
      params: { name: node },
      query: login === null ? {} : { login },
      signal: context.terminal.interrupted,
    })
  const first = await look().catch((error: unknown) => {
    // An older daemon has no such route, and one that does not answer is for ssh to tell of.
    if (order.request || !(error instanceof ApiError)) throw error
    return null
  })
  if (first === null || first.ok) return null
  const outcome = await askAndWait(context, api, first, order)
  if (outcome === null) return null
  if (outcome.kind === 'over') return outcome.exit
  // Approved may mean: later, or for less.
  const now = await look()
  if (now.ok) return null
  for (const line of now.lines) context.warn(harmless(line.replace(/^sallyport: /, '')))
  return EXIT.denied
}

const knownNodes = (config: string | null): ReadonlySet<string> =>
  new Set((config ?? '').split('\n').flatMap((line) => (line.startsWith('Host ') ? [line.slice(5)] : [])))

/** `db-box`, `root@db-box`, `root@db-box:/tmp/x` or `ssh://root@db-box` somewhere among the words. */
function mentions(nodes: ReadonlySet<string>, args: readonly string[]): boolean {
  return args.some((arg) => {
    const host = /^(?:[a-z]+:\/\/)?(?:[^@/:]*@)?([^@/:]+)(?:[:/].*)?$/.exec(arg)?.[1]
    return host !== undefined && nodes.has(host.toLowerCase())
  })
}

/** For people to copy. */
const shellWord = (word: string): string =>
  /^[A-Za-z0-9/._:=@+,-]+$/.test(word) ? word : `'${harmless(word).replaceAll("'", "'\\''")}'`
