import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'

export interface ManifestOptions {
  readonly mode: 'socket' | 'http' | undefined
  readonly url: string | undefined
  readonly integration: string | undefined
  readonly name: string | undefined
}

/** Of each: what for. `chat:write` messages; `commands` /access; `im:write` direct messages; the rest: who reads a channel. */
const NEEDED = ['chat:write', 'commands', 'im:write', 'channels:read', 'groups:read', 'users:read']
/** Those may be left out: to look for a message of ours whose sending was cut short. `sallyctl integration check` says what is lost. */
const TO_LOOK = ['channels:history', 'groups:history', 'im:history']
const LONGEST_NAME = 35

/** What Slack takes under "Create an app, From a manifest". https://docs.slack.dev/reference/app-manifest, version 2 */
export function slackManifest(options: ManifestOptions): object {
  const mode = options.mode ?? 'socket'
  const name = options.name ?? 'Sallyport'
  if (name.trim() === '' || [...name].length > LONGEST_NAME)
    throw new CommandFailed('usage', `the name of a Slack app has 1 to ${LONGEST_NAME} characters`)
  const callbacks = mode === 'http' ? callbacksAt(options) : null
  const command = { command: '/access', description: 'Ask for access, see and end yours', usage_hint: COMMAND_HINT }
  return {
    _metadata: { major_version: 2, minor_version: 1 },
    display_information: { name, description: 'Access by request, review and an end' },
    features: {
      bot_user: { display_name: name, always_online: false },
      app_home: { home_tab_enabled: false, messages_tab_enabled: true, messages_tab_read_only_enabled: true },
      slash_commands: [
        { ...command, should_escape: false, ...(callbacks === null ? {} : { url: `${callbacks}/commands` }) },
      ],
    },
    oauth_config: { scopes: { bot: [...NEEDED, ...TO_LOOK] } },
    settings: {
      interactivity: { is_enabled: true, ...(callbacks === null ? {} : { request_url: `${callbacks}/interactions` }) },
      org_deploy_enabled: false,
      socket_mode_enabled: mode === 'socket',
      token_rotation_enabled: false,
    },
  }
}

const COMMAND_HINT = '[request ROLE for 1h: REASON | mine | extend 30m | return | link | help]'

function callbacksAt({ url, integration = 'slack' }: ManifestOptions): string {
  if (url === undefined || !URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new CommandFailed('usage', 'with --mode=http: --url=https://HOST[:PORT] under which Slack reaches the daemon')
  return `${new URL(url).origin}/v1/callbacks/${encodeURIComponent(integration)}`
}

export async function printSlackManifest(context: CommandContext, options: ManifestOptions): Promise<void> {
  const manifest = slackManifest(options)
  await context.show(manifest, () => JSON.stringify(manifest, null, 2))
}
