import type { Client } from '../../../contract/client.ts'
import type { VisibleNode } from '../../../contract/node.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import type { Profile, ProfileStore } from '../../shared/profile.ts'
import { requireAccount } from '../../shared/profile.ts'
import { renderKnownHosts, renderSshConfig } from './render-ssh-config.ts'

/** Brings the stored files up to what the proxy says now, and tells the nodes. Needs a signed-in account. */
export async function writeSshConfig(context: CommandContext, api: Client): Promise<readonly VisibleNode[]> {
  const { items } = await api.listNodes({})
  const profile = await requireAccount(context.profiles, context.terminal.clock.now())
  await storeSshConfig(
    context,
    profile,
    items.map((node) => node.name),
  )
  return items
}

/** As a side effect of other commands: these must not fail because of it. */
export async function refreshSshConfig(context: CommandContext, api: Client): Promise<void> {
  try {
    await writeSshConfig(context, api)
  } catch (error) {
    if (context.terminal.interrupted.aborted) throw error
    context.warn(`the ssh configuration was not refreshed: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export async function storeSshConfig(
  context: CommandContext,
  profile: Profile,
  nodes: readonly string[],
): Promise<void> {
  const { profiles } = context
  const text = renderSshConfig({
    proxy: profile.proxy,
    user: profile.account?.user ?? 'nobody',
    nodes,
    files: {
      identity: profiles.path('id'),
      certificate: profiles.path('id-cert.pub'),
      knownHosts: profiles.path('known_hosts'),
    },
    proxyCommand: context.proxyCommand,
  })
  await writeIfChanged(profiles, 'known_hosts', renderKnownHosts(profile.proxy))
  await writeIfChanged(profiles, 'ssh_config', text)
}

async function writeIfChanged(store: ProfileStore, file: 'known_hosts' | 'ssh_config', text: string): Promise<void> {
  if ((await store.read(file)) !== text) await store.write(file, text)
}
