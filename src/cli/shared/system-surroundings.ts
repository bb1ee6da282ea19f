import { systemDial } from './dial.ts'
import { openProfiles, profileFolder } from './profile.ts'
import { terminalPrompt } from './prompt.ts'
import { processTerminal } from './terminal.ts'
import type { Surroundings } from './command-context.ts'

/** The real ones, for an entry point. */
export function systemSurroundings(
  facts: Pick<Surroundings, 'program' | 'version' | 'proxyCommand'> &
    Partial<Pick<Surroundings, 'verifyOffline' | 'openWorkbench'>>,
): Surroundings {
  const terminal = processTerminal()
  return {
    ...facts,
    terminal,
    prompt: terminalPrompt(terminal),
    profiles: openProfiles(profileFolder(terminal.env)),
    dial: systemDial(),
    openProxy: async (proxy) => (await import('./proxy-transport.ts')).proxyTransport(proxy),
    execute: async (program, args) => (await import('./execute.ts')).execute(program, args),
  }
}
