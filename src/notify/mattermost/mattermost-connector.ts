import type { MattermostSecrets, MattermostSettings } from '../../contract/vendors/mattermost.ts'
import { actionsPath } from '../../formats/mattermost-proof.ts'
import { DeliveryFailed, type Connector, type ConnectorParts } from '../connector.ts'
import { answerCallback } from './answer-callback.ts'
import { checkMattermost, readersOf } from './check-mattermost.ts'
import { findPost } from './find-post.ts'
import { asDeliveryFailure, MattermostApi } from './mattermost-api.ts'
import { sendPost } from './send-post.ts'

/** A bot of a Mattermost server: posts with buttons in channels and direct messages, forms, `/access`. */
export function mattermostConnector(parts: ConnectorParts<MattermostSettings, MattermostSecrets>): Connector {
  const { integration, settings, secrets, log } = parts
  const key = secrets.context_key
  // Made with the document; without it nothing that comes back could be told from anybody's.
  if (key === undefined) throw new DeliveryFailed('integration', 'the secret context_key is missing')
  const api = new MattermostApi({ url: settings.url, token: secrets.bot_token, fetch: parts.fetch, clock: parts.clock })
  const callbacks = `${settings.callback_url ?? parts.publicUrl}/v1/callbacks/${integration}`
  const frame = { integration, key, actionsUrl: `${callbacks}/${actionsPath(key, integration)}` }
  const sender = { api, frame, botUserId: settings.bot_user_id }
  return {
    vendor: 'mattermost',
    deliver: (task, signal) => sendPost(sender, task, signal),
    find: (task, since, signal) => findPost(sender, task, since, signal),
    receive: (callback, fromChat, signal) =>
      answerCallback({ ...sender, log, dialogsUrl: `${callbacks}/dialogs` }, callback, fromChat, signal),
    async audienceOf(channel, signal) {
      try {
        return await readersOf(api, channel, signal)
      } catch (error) {
        throw asDeliveryFailure(error)
      }
    },
    check: (channels, signal) => checkMattermost(api, settings, channels, signal),
  }
}
