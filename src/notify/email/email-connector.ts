import type { MessageTask } from '../../contract/message.ts'
import { type EmailSecrets, type EmailSettings, MailRecipient } from '../../contract/vendors/email.ts'
import { type CheckLine, type Connector, type ConnectorParts, DeliveryFailed } from '../connector.ts'
import { type MailPlace, placeOf } from './mail-thread.ts'
import { type MailPool, openPool } from './open-pool.ts'
import { type MailContent, renderMail } from './render-mail.ts'
import { smtpVerdict } from './smtp-verdict.ts'

/** Mails with a link. Nothing comes in: answers to a mail are nobody's, and a link opens a page that decides nothing. */
export function emailConnector(parts: ConnectorParts<EmailSettings, EmailSecrets>): Connector {
  const { settings, secrets } = parts
  const pool = openPool(settings, secrets, parts.connect)
  const hidden = [secrets.password ?? '']
  const domain = settings.from.slice(settings.from.lastIndexOf('@') + 1)
  return {
    vendor: 'email',
    async deliver(task, signal) {
      const to = recipientOf(task)
      const content = renderMail(task.content, task.audience)
      const place = placeOf(task, domain, content.subject)
      if (place === null) return task.external ?? task.thread ?? ''
      try {
        await pool.sendMail({ ...letter(content, place, settings), to, envelope: { from: settings.from, to }, signal })
        return place.external
      } catch (error) {
        throw smtpVerdict(error, hidden)
      }
    },
    async listen(_fromChat, signal) {
      // A mail server brings nothing in; what is kept open is closed with the integration.
      if (!signal.aborted) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      }
      pool.close()
    },
    async check(channels) {
      return [await checkServer(pool, settings, hidden), ...channels.map(checkAddress)]
    },
  }
}

function recipientOf({ destination }: MessageTask): string {
  const address = destination.channel ?? destination.person?.email ?? null
  const parsed = MailRecipient.safeParse(address)
  if (parsed.success) return parsed.data
  const who = destination.person?.name ?? 'the recipient'
  throw new DeliveryFailed(
    'destination',
    address === null ? `${who} has no mail address` : `${who}: no usable mail address`,
  )
}

function letter(
  { text, html }: MailContent,
  { messageId, root, subject }: MailPlace,
  { from, from_name }: EmailSettings,
) {
  return {
    from: { name: from_name, address: from },
    subject,
    text,
    html,
    messageId: `<${messageId}>`,
    ...(root === null ? {} : { inReplyTo: `<${root}>`, references: [`<${root}>`] }),
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

async function checkServer(pool: MailPool, { smtp }: EmailSettings, hidden: readonly string[]): Promise<CheckLine> {
  try {
    await pool.verify()
    return { ok: true, text: `${smtp.host} takes mail${smtp.username === undefined ? '' : ` of ${smtp.username}`}` }
  } catch (error) {
    return { ok: false, text: smtpVerdict(error, hidden).message }
  }
}

const checkAddress = (channel: string): CheckLine =>
  MailRecipient.safeParse(channel).success
    ? { ok: true, text: `${channel} is a mail address; whether it arrives is only seen by sending` }
    : { ok: false, text: `${channel} is no mail address` }
