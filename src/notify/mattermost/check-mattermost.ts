import { z } from 'zod'
import { MattermostId, type MattermostSettings } from '../../contract/vendors/mattermost.ts'
import type { ChannelReaders, CheckLine } from '../connector.ts'
import type { MattermostApi } from './mattermost-api.ts'

const Me = z.object({ id: z.string(), username: z.string(), is_bot: z.boolean().optional() })
const Config = z.object({
  DiagnosticId: z.string().optional(),
  TelemetryId: z.string().optional(),
  AsymmetricSigningPublicKey: z.string().optional(),
})
const Channel = z.object({
  type: z.string(),
  team_id: z.string(),
  delete_at: z.number().optional(),
  shared: z.boolean().nullish(),
})
const Stats = z.object({ guest_count: z.number().optional() })

/** An open channel is for everybody of the team; one that is shared with other servers, or has guests, for outsiders. */
export async function readersOf(api: MattermostApi, channel: string, signal: AbortSignal): Promise<ChannelReaders> {
  const found = await channelOf(api, channel, signal)
  if (found.shared === true) return 'outsiders'
  const stats = Stats.parse(await api.call('GET', `/channels/${channel}/stats`, null, signal))
  // Unknown is not none.
  if (stats.guest_count === undefined || stats.guest_count > 0) return 'outsiders'
  return found.type === 'P' ? 'private' : 'open'
}

async function channelOf(api: MattermostApi, channel: string, signal: AbortSignal): Promise<z.infer<typeof Channel>> {
  if (!MattermostId.safeParse(channel).success) throw new Error('a channel is named by its id of 26 characters')
  return Channel.parse(await api.call('GET', `/channels/${channel}`, null, signal))
}

export async function checkMattermost(
  api: MattermostApi,
  settings: MattermostSettings,
  channels: readonly string[],
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const lines = [await checkBot(api, settings, signal), ...(await checkServer(api, settings, signal))]
  for (const channel of channels) lines.push(await checkChannel(api, settings, channel, signal))
  return lines
}

const good = (text: string): CheckLine => ({ ok: true, text })
const bad = (text: string): CheckLine => ({ ok: false, text })
const textOf = (error: unknown): string => (error instanceof Error ? error.message : 'the call failed')

async function checkBot(api: MattermostApi, settings: MattermostSettings, signal: AbortSignal): Promise<CheckLine> {
  try {
    const me = Me.parse(await api.call('GET', '/users/me', null, signal))
    if (me.id !== settings.bot_user_id) return bad(`the token is that of another account: bot_user_id is ${me.id}`)
    return me.is_bot === true ? good('the bot token works') : bad(`the token is that of a person: use a bot account`)
  } catch (error) {
    return bad(textOf(error))
  }
}

async function checkServer(
  api: MattermostApi,
  settings: MattermostSettings,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  try {
    const config = Config.parse(await api.call('GET', '/config/client?format=old', null, signal))
    return [siteLine(config, settings), keyLine(config, settings)]
  } catch (error) {
    return [bad(textOf(error))]
  }
}

function siteLine(config: z.infer<typeof Config>, { site_id }: MattermostSettings): CheckLine {
  const id = config.DiagnosticId ?? config.TelemetryId
  if (id === undefined) return good('the server does not say its id; site_id is taken as it is')
  return id === site_id ? good('the server is the one of site_id') : bad(`this is another server: its site_id is ${id}`)
}

function keyLine(config: z.infer<typeof Config>, { signing_key }: MattermostSettings): CheckLine {
  const key = config.AsymmetricSigningPublicKey
  if (signing_key === undefined)
    return good(
      key === undefined
        ? 'the server does not say its signing key: clicks are confirmed by its forms'
        : `clicks are checked for the server's signature with signing_key: ${key}`,
    )
  if (key === signing_key) return good('signing_key is the one of the server')
  return bad('signing_key is not the one of the server: every click would be refused')
}

async function checkChannel(
  api: MattermostApi,
  settings: MattermostSettings,
  channel: string,
  signal: AbortSignal,
): Promise<CheckLine> {
  try {
    const found = await channelOf(api, channel, signal)
    if (found.team_id !== settings.team_id)
      return bad(`channel ${channel} is of another team: its buttons would be refused`)
    if ((found.delete_at ?? 0) !== 0) return bad(`channel ${channel} is archived`)
    await api.call('GET', `/channels/${channel}/members/${settings.bot_user_id}`, null, signal)
    const readers = await readersOf(api, channel, signal)
    const who = {
      private: '',
      open: '; everybody of the team may read it',
      outsiders: '; guests or other servers read it',
    }
    return good(`channel ${channel} can be posted to${who[readers]}`)
  } catch (error) {
    return bad(`channel ${channel}: ${textOf(error)}`)
  }
}
