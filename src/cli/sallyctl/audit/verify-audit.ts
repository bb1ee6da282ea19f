import { EXIT } from '../../../contract/errors.ts'
import type { CommandContext, OfflineVerdict } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { harmless } from '../../shared/harmless.ts'

export interface VerifyOptions {
  readonly database: string | undefined
  readonly trust: string | undefined
  readonly checkpoints: string | undefined
}

/** Exit code: 0 whole and anchored, 9 altered, 10 consistent but nothing from outside vouches for it. */
export async function verifyAudit(context: CommandContext, options: VerifyOptions): Promise<number> {
  const verdict = options.database === undefined ? await askDaemon(context, options) : await offline(context, options)
  await context.show(verdict, () => describe(verdict))
  if (verdict.problems.length > 0) return EXIT.altered
  return verdict.anchored ? EXIT.done : EXIT.unanchored
}

async function askDaemon(context: CommandContext, options: VerifyOptions): Promise<OfflineVerdict> {
  if (options.trust !== undefined || options.checkpoints !== undefined)
    throw new CommandFailed('usage', '--trust and --checkpoints go with --database', 'A daemon uses its own anchors.')
  const api = await context.dial.operator(context)
  return api.verifyAudit({})
}

async function offline(context: CommandContext, options: VerifyOptions): Promise<OfflineVerdict> {
  const { database, trust, checkpoints } = options
  if (database === undefined || context.verifyOffline === undefined)
    throw new CommandFailed('usage', 'this program cannot read a database file', 'Use sallyctl.')
  return context.verifyOffline({ database, trust: trust ?? null, checkpoints: checkpoints ?? null })
}

function describe(verdict: OfflineVerdict): string {
  const seen = `${verdict.events} events, ${verdict.rows} bound rows, ${verdict.checkpoints} checkpoints, ${verdict.sessionFiles} session files`
  const lines = verdict.problems.map((each) => harmless(`  ${each.kind} at ${each.where}: ${each.message}`))
  if (lines.length > 0)
    return [`ALTERED: ${lines.length} problem${lines.length === 1 ? '' : 's'} in ${seen}`, ...lines].join('\n')
  if (!verdict.anchored)
    return `UNANCHORED: proves consistency only (${seen}).\nWhoever can write the database could have written all of it anew. Give --trust and --checkpoints from outside.`
  return `OK: ${seen}; the head is confirmed from outside.`
}
