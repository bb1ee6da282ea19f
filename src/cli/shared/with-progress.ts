import type { CommandContext } from './command-context.ts'

const SOON_MS = 1000

/** Says what is waited for when it takes more than a second. */
export async function withProgress<T>(
  { terminal, progress }: Pick<CommandContext, 'progress' | 'terminal'>,
  text: string,
  work: () => Promise<T>,
): Promise<T> {
  const told = terminal.clock.after(SOON_MS, () => progress(text))
  try {
    return await work()
  } finally {
    told.cancel()
  }
}
