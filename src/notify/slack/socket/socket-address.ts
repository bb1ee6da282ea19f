/**
 * Where Slack says its socket is; only beside the Web API it was asked of: `wss-primary.slack.com` for `slack.com`. The address holds a
 * ticket, so it is in no error. null: not there, or without TLS although the Web API has it.
 */
export function socketAddress(text: unknown, apiUrl: string): URL | null {
  if (typeof text !== 'string' || text.length > 2000 || !URL.canParse(text)) return null
  const url = new URL(text)
  const api = new URL(apiUrl)
  if (url.username !== '' || url.password !== '') return null
  const secure = url.protocol === 'wss:'
  if (!secure && !(url.protocol === 'ws:' && api.protocol === 'http:')) return null
  return url.hostname === api.hostname || url.hostname.endsWith(`.${api.hostname}`) ? url : null
}
