import { EXIT } from '../../../contract/errors.ts'
import type { CommandContext, OfflineVerdict } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { harmless } from '../../shared/harmless.ts'

export interface VerifyOptions {
  readonly database: string | undefined
  readonly trust: string | undefined
  readonly checkpoints: string | undefined
  readonly recordings: string | undefined
}

/** Exit code: 0 whole and anchored, 9 altered, 10 consistent but nothing from outside vouches for it. */
export async function verifyAudit(context: CommandContext, options: VerifyOptions): Promise<number> {
  const verdict = options.database === undefined ? await askDaemon(context, options) : await offline(context, options)
  await context.show(verdict, () => describe(verdict))
  if (verdict.problems.length > 0) return EXIT.altered
  return verdict.anchored ? EXIT.done : EXIT.unanchored
}

async function askDaemon(context: CommandContext, options: VerifyOptions): Promise<OfflineVerdict> {
  if ([options.trust, options.checkpoints, options.recordings].some((each) => each !== undefined))
    throw new CommandFailed(
      'usage',
      '--trust, --checkpoints and --recordings go with --database',
      'A daemon uses its own anchors.',
    )
  const api = await context.dial.operator(context)
  return api.verifyAudit({})
}

async function offline(context: CommandContext, options: VerifyOptions): Promise<OfflineVerdict> {
  const { database, trust, checkpoints, recordings } = options
  if (database === undefined || context.verifyOffline === undefined)
    throw new CommandFailed('usage', 'this program cannot read a database file', 'Use sallyctl.')
  return context.verifyOffline({
    database,
    trust: trust ?? null,
    checkpoints: checkpoints ?? null,
    recordings: recordings ?? null,
  })
}

function describe(verdict: OfflineVerdict): string {
  const { events, rows, checkpoints, sessionFiles, problems } = verdict
  const seen = `${events} events, ${rows} bound rows, ${checkpoints} checkpoints, ${sessionFiles} session files`
  const notes = verdict.notes.map((note) => harmless(`  ${note}`))
  return [headline(verdict, seen), ...problems.map(problemLine), ...notes].join('\n')
}

function headline({ problems, anchored }: OfflineVerdict, seen: string): string {
  if (problems.length > 0) return `ALTERED: ${problems.length} problem${problems.length === 1 ? '' : 's'} in ${seen}`
  return anchored
    ? `OK: ${seen}; the head is confirmed from outside.`
    : `UNANCHORED: proves consistency only (${seen}).`
}

function problemLine(problem: OfflineVerdict['problems'][number]): string {
  return harmless(`  ${problem.kind} at ${problem.where}: ${problem.message}`)
}
