import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { requireAccount } from '../../shared/profile.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'

/** The stock program with this account's configuration. What it exits with is what we exit with. */
export async function runOpenssh(
  context: CommandContext,
  program: 'ssh' | 'scp',
  args: readonly string[],
): Promise<number> {
  await requireAccount(context.profiles, context.terminal.clock.now())
  const { profiles } = context
  if (!mentionsKnownNode(await profiles.read('ssh_config'), args)) {
    // Perhaps it is new: one question, and only then.
    await refreshSshConfig(context, await context.dial.signedIn(context))
    if (!mentionsKnownNode(await profiles.read('ssh_config'), args))
      throw new CommandFailed('notFound', 'none of these words is a node that you may know of', 'Run: sally ls')
  }
  return context.execute(program, ['-F', profiles.path('ssh_config'), ...args])
}

/** `db-box`, `root@db-box`, `root@db-box:/tmp/x` or `ssh://root@db-box` somewhere among the words. */
function mentionsKnownNode(config: string | null, args: readonly string[]): boolean {
  const nodes = new Set((config ?? '').split('\n').flatMap((line) => (line.startsWith('Host ') ? [line.slice(5)] : [])))
  return args.some((arg) => {
    const host = /^(?:[a-z]+:\/\/)?(?:[^@/:]*@)?([^@/:]+)(?:[:/].*)?$/.exec(arg)?.[1]
    return host !== undefined && nodes.has(host.toLowerCase())
  })
}
