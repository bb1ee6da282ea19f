import { homedir } from 'node:os'
import { join } from 'node:path'
import type { CommandContext } from '../../shared/command-context.ts'
import { installInclude } from './install-include.ts'
import { writeSshConfig } from './refresh-ssh-config.ts'

export async function printConfig(context: CommandContext, install: boolean): Promise<void> {
  const api = await context.dial.signedIn(context)
  await writeSshConfig(context, api)
  const path = context.profiles.path('ssh_config')
  const text = (await context.profiles.read('ssh_config')) ?? ''
  if (!install) return context.show({ path, config: text }, () => text.trimEnd())
  // OpenSSH itself does not look at $HOME; neither may the place that we write to.
  const target = join(homedir(), '.ssh', 'config')
  const changed = await installInclude(target, path)
  const data = { path: target, included: path, changed }
  await context.show(data, () => (changed ? `${target} now includes ${path}` : `${target} includes ${path} already`))
}
