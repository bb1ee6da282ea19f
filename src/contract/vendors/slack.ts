import { z } from 'zod'
import { deliverySettings, Secret } from './common.ts'
import { FORM_FIELDS } from '../from-chat.ts'
import type { FormField } from '../from-chat.ts'
import { MESSAGE_BUTTONS } from '../message.ts'
import type { MessageButton } from '../message.ts'

/** Slack's own address. Government workspaces have another one. */
export const SLACK_API = 'https://slack.com/api/'

const ApiUrl = z
  .url({ protocol: /^https?$/ })
  .max(300)
  .refine((text) => {
    const { username, password, search, hash } = new URL(text)
    return username === '' && password === '' && search === '' && hash === ''
  }, 'an address without user, password, query and fragment')
  .transform((text) => (text.endsWith('/') ? text : `${text}/`))

export const SlackSettings = z.strictObject({
  ...deliverySettings,
  /** Of the workspace: what comes from another one is refused. Accounts are linked under it */
  team_id: z
    .string()
    .regex(/^T[A-Z0-9]{2,30}$/, 'the id of a workspace begins with T: it is in the address of app.slack.com'),
  /** Of the app that `sallyctl integration slack manifest` describes: "Basic Information" shows it */
  app_id: z.string().regex(/^A[A-Z0-9]{2,30}$/, 'the id of an app begins with A'),
  /** Of the organisation the workspace belongs to (Enterprise Grid). Absent: it belongs to none */
  enterprise_id: z
    .string()
    .regex(/^E[A-Z0-9]{2,30}$/, 'the id of an organisation begins with E')
    .optional(),
  /** `socket`: the daemon calls Slack, and needs no public address. `http`: Slack calls the daemon */
  mode: z.enum(['socket', 'http']),
  /** Another address of the Web API: `https://slack-gov.com/api/` */
  api_url: ApiUrl.default(SLACK_API),
})
export type SlackSettings = z.infer<typeof SlackSettings>

export const SlackSecrets = z.strictObject({
  /** "OAuth & Permissions", Bot User OAuth Token */
  bot_token: Secret.regex(/^xoxb-\S+$/, 'a bot token begins with xoxb-'),
  /** With `mode: socket`: an app-level token with the scope connections:write */
  app_token: Secret.regex(/^xapp-\S+$/, 'an app-level token begins with xapp-').optional(),
  /** With `mode: http`: "Basic Information", Signing Secret */
  signing_secret: Secret.min(16).max(256).optional(),
})
export type SlackSecrets = z.infer<typeof SlackSecrets>

const CHANNEL = /^[CG][A-Z0-9]{2,30}$/

/** What the shapes alone cannot say; one sentence each. */
export function slackProblems(settings: SlackSettings, secrets: SlackSecrets): string[] {
  const problems: string[] = []
  if (settings.mode === 'socket' && secrets.app_token === undefined)
    problems.push('secrets.app_token: mode socket opens its connection with an app-level token')
  if (settings.mode === 'http' && secrets.signing_secret === undefined)
    problems.push('secrets.signing_secret: in mode http nothing unsigned is taken in')
  for (const channel of settings.deliver.flatMap((rule) => rule.channels))
    if (!CHANNEL.test(channel))
      problems.push(
        `deliver: "${channel.slice(0, 40)}" is no id of a channel: it begins with C, "View channel details" shows it`,
      )
  return problems
}

// What our messages and dialogs are named in payloads: the renderer writes it, the verifier reads it.

const ACTION = 'sallyport.'

export const slackActionId = (button: MessageButton): string => `${ACTION}${button}`

export function slackButtonOf(actionId: string): MessageButton | null {
  if (!actionId.startsWith(ACTION)) return null
  return MESSAGE_BUTTONS.find((button) => button === actionId.slice(ACTION.length)) ?? null
}

/** `callback_id` of each of our dialogs; its `private_metadata` is the form's nonce. */
export const SLACK_DIALOG = 'sallyport.form'

export const slackFieldOf = (blockId: string): FormField | null =>
  FORM_FIELDS.find((field) => field === blockId) ?? null

/** Names a message: `C0123:1700000000.000100`. Channel ids of direct messages begin with D. */
export const slackMessage = (channel: string, ts: string): string => `${channel}:${ts}`
