import { Readable } from 'node:stream'
import { openProfiles } from '../../cli/shared/profile.ts'
import { proxyTransport } from '../../cli/shared/proxy-transport.ts'
import { runProgram } from '../../cli/shared/run-program.ts'
import { systemDial } from '../../cli/shared/dial.ts'
import { sally } from '../../cli/sally/program.ts'
import { systemClock } from '../../foundation/clock.ts'

/** Runs one `sally` command in this process, without a terminal, and gives what it prints on stdout. */
export async function runSally(
  home: string,
  proxyCommand: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  let stdout = ''
  let stderr = ''
  const nobody = (): Promise<never> => Promise.reject(new Error(`sally ${args[0]} asked a question`))
  const code = await runProgram(sally, args, {
    program: sally.name,
    version: 'demo',
    terminal: {
      stdout: { write: (text) => void (stdout += text), columns: null },
      stderr: { write: (text) => void (stderr += text), columns: null },
      stdin: Readable.from([]),
      env,
      clock: systemClock,
      interactive: false,
      interrupted: new AbortController().signal,
    },
    prompt: { text: nobody, secret: nobody, confirm: nobody },
    profiles: openProfiles(home),
    dial: systemDial(),
    openProxy: (proxy) => Promise.resolve(proxyTransport(proxy)),
    proxyCommand,
    execute: nobody,
  })
  if (code !== 0) throw new Error(`sally ${args[0]} ended with ${code}: ${stderr.trim()}`)
  return stdout
}
