// A browser on the daemon's pages, and whoever calls it from outside. Its certificate is its own, which is not what is tested here.
import { request } from 'node:https'
import { sentOrigin } from './sent-origin.ts'

export interface PageAnswer {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export function callDaemon(
  method: string,
  url: string,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<PageAnswer> {
  return new Promise((resolve, reject) => {
    const length = method === 'GET' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const options = { method, rejectUnauthorized: false, headers: { ...headers, ...length }, agent: false as const }
    const sent = request(url, options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Opens the page, types into its form and sends it, as a person does. */
export async function sendPage(url: string, fields: Readonly<Record<string, string>>): Promise<PageAnswer> {
  const page = await callDaemon('GET', url)
  const mark = /name="mark" value="([^"]+)"/.exec(page.text)?.[1]
  if (mark === undefined) return page
  const cookie = (page.headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? ''
  const form = new URLSearchParams({ mark, ...fields }).toString()
  const origin = sentOrigin(url, page.headers['referrer-policy'])
  return callDaemon('POST', url, form, { cookie, origin, 'content-type': 'application/x-www-form-urlencoded' })
}
