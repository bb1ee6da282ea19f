import { z } from 'zod'
import type { SlackSettings } from '../../contract/vendors/slack.ts'
import type { CheckLine } from '../connector.ts'
import type { ChannelFacts, ChannelInfo } from './channel-facts.ts'
import type { SlackWebApi } from './web-api.ts'

export interface CheckParts {
  readonly bot: SlackWebApi
  /** null: there is no app-level token */
  readonly app: SlackWebApi | null
  readonly channels: ChannelFacts
  readonly settings: SlackSettings
}

const Tested = z.looseObject({
  team: z.string().optional(),
  team_id: z.string(),
  user: z.string().optional(),
  app_id: z.string().optional(),
  enterprise_id: z.string().nullish(),
})

export async function checkSlack(
  parts: CheckParts,
  channels: readonly string[],
  signal: AbortSignal,
): Promise<readonly CheckLine[]> {
  const lines = await attempt('the bot token', () => checkBot(parts, signal))
  if (parts.settings.mode === 'socket')
    lines.push(...(await attempt('the app-level token', () => checkApp(parts, signal))))
  for (const channel of channels)
    lines.push(
      ...(await attempt(`channel ${channel}`, async () => aboutChannel(await parts.channels.info(channel, signal)))),
    )
  return lines
}

async function attempt(what: string, run: () => Promise<CheckLine[]>): Promise<CheckLine[]> {
  try {
    return await run()
  } catch (error) {
    return [{ ok: false, text: `${what}: ${error instanceof Error ? error.message : String(error)}` }]
  }
}

async function checkBot({ bot, settings }: CheckParts, signal: AbortSignal): Promise<CheckLine[]> {
  const { said, scopes } = await bot.test(signal)
  const tested = Tested.parse(said)
  const lines = [
    { ok: true, text: `the bot token is that of ${tested.user ?? 'a bot'} in ${tested.team ?? tested.team_id}` },
  ]
  const differs = (name: string, is: string | null | undefined, set: string | undefined): void => {
    if ((is ?? undefined) !== set)
      lines.push({ ok: false, text: `${name} is ${is ?? 'none'} for Slack and ${set ?? 'absent'} in the settings` })
  }
  differs('team_id', tested.team_id, settings.team_id)
  differs('enterprise_id', tested.enterprise_id, settings.enterprise_id)
  if (tested.app_id !== undefined) differs('app_id', tested.app_id, settings.app_id)
  return [...lines, ...(scopes === null ? [] : withoutLooking(scopes))]
}

const LOOKS: Readonly<Record<string, string>> = {
  'channels:history': 'public channels',
  'groups:history': 'private channels',
  'im:history': 'direct messages',
}

/** Nothing fails for want of them. */
function withoutLooking(scopes: ReadonlySet<string>): CheckLine[] {
  const missing = Object.keys(LOOKS).filter((scope) => !scopes.has(scope))
  if (missing.length === 0) return [{ ok: true, text: 'it can look for a message whose sending was cut short' }]
  return missing.map((scope) => ({
    ok: true,
    text: `without the scope ${scope} it cannot look in ${LOOKS[scope] ?? ''} for a message whose sending was cut short: such a one may stand there twice, and a line in a thread may be missing`,
  }))
}

async function checkApp({ app }: CheckParts, signal: AbortSignal): Promise<CheckLine[]> {
  if (app === null) return [{ ok: false, text: 'the app-level token is missing' }]
  await app.call('apps.connections.open', {}, signal)
  return [
    { ok: true, text: 'the app-level token may open connections; that Interactivity is on shows with the first click' },
  ]
}

function aboutChannel(info: ChannelInfo): CheckLine[] {
  const name = `channel ${info.id}`
  if (info.is_archived) return [{ ok: false, text: `${name} is archived` }]
  if (info.is_member === false) return [{ ok: false, text: `the bot is not in ${name}: invite it there` }]
  const shared = info.is_ext_shared || info.is_pending_ext_shared || info.is_org_shared
  if (shared) return [{ ok: false, text: `${name} is shared with another organisation or workspace` }]
  return [
    {
      ok: true,
      text: `${name} can be written to; ${info.is_private ? 'its members' : 'the whole workspace'} can read it`,
    },
  ]
}
