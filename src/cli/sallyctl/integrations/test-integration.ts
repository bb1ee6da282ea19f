import type { CommandContext } from '../../shared/command-context.ts'
import { harmless } from '../../shared/harmless.ts'

interface Target {
  readonly channel?: string | undefined
  readonly user?: string | undefined
}

const WORDS = { delivered: 'delivered', waiting: 'not yet   ', failed: 'FAILED   ' } as const

/** Exit code 1 unless everything arrived. */
export async function testIntegration(
  context: CommandContext,
  name: string,
  { channel, user }: Target,
): Promise<number | void> {
  const api = await context.dial.operator(context)
  const body = { ...(channel === undefined ? {} : { channel }), ...(user === undefined ? {} : { user }) }
  const { items } = await api.testIntegration({ params: { name }, body })
  await context.show(items, () =>
    items
      .map(({ outcome, destination, why }) =>
        harmless(`${WORDS[outcome]}  ${destination}${why === null ? '' : `  ${why}`}`),
      )
      .join('\n'),
  )
  if (items.some(({ outcome }) => outcome !== 'delivered')) return 1
}
