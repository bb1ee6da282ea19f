/** What Slack makes of a text that is more than a text. */
export interface MrkdwnThing {
  readonly kind: 'link' | 'mention' | 'date'
  readonly text: string
}

const ANGLE = /<([^<>]{1,3000})>/g
const BARE_ADDRESS =
  /(?:https?:\/\/|www\.)[^\s<>|]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|io|dev|example|evil)\b/gi
const BARE_MENTION = /(?:^|[\s(])@(?:here|channel|everyone|[a-z0-9._-]+)|(?:^|[\s(])#[a-z0-9_-]+/gi

/**
 * Finds links and mentions as Slack's parser of mrkdwn does: `<...>` always; bare addresses and names only where `verbatim` is not
 * set, and there more of them than Slack, so that what passes here passes there.
 */
export function mrkdwnThings(text: string, verbatim: boolean): MrkdwnThing[] {
  const found: MrkdwnThing[] = []
  for (const [whole, inner = ''] of text.matchAll(ANGLE)) found.push({ kind: kindOf(inner), text: whole })
  if (verbatim) return found
  const rest = text.replaceAll(ANGLE, ' ')
  for (const [whole] of rest.matchAll(BARE_ADDRESS)) found.push({ kind: 'link', text: whole })
  for (const [whole] of rest.matchAll(BARE_MENTION)) found.push({ kind: 'mention', text: whole })
  return found
}

function kindOf(inner: string): MrkdwnThing['kind'] {
  if (inner.startsWith('!date^')) return 'date'
  return /^[@#!]/.test(inner) ? 'mention' : 'link'
}
