import { request as requestHttps } from 'node:https'
import { sentOrigin } from './sent-origin.ts'

export interface SeenPage {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

export interface Visit {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'OPTIONS'
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
}

/**
 * A browser as far as our pages need one: keeps cookies, reads forms, follows nothing by itself. Of whatever certificate: what is
 * tested with it is the pages.
 */
export class PageVisitor {
  readonly #cookies = new Map<string, string>()

  visit(url: string, { method, headers = {}, form }: Visit = {}): Promise<SeenPage> {
    const body = form === undefined ? null : new URLSearchParams(form).toString()
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return new Promise((resolve, reject) => {
      const sent = requestHttps(
        url,
        {
          method: method ?? (body === null ? 'GET' : 'POST'),
          rejectUnauthorized: false,
          agent: false,
          headers: {
            ...(cookie === '' ? {} : { cookie }),
            ...(body === null ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
            ...headers,
          },
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            for (const line of answer.headers['set-cookie'] ?? []) {
              const found = /^([^=]+)=([^;]*)/.exec(line)
              if (found) this.#cookies.set(found[1] ?? '', found[2] ?? '')
            }
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: Buffer.concat(chunks).toString('utf8'),
            })
          })
        },
      )
      sent.on('error', reject)
      sent.end(body ?? undefined)
    })
  }

  /** Opens the page and sends its form with what was typed: hidden fields come back as they were given. */
  async fill(url: string, typed: Readonly<Record<string, string>>): Promise<SeenPage> {
    const seen = await this.visit(url)
    const origin = sentOrigin(url, seen.headers['referrer-policy'])
    return await this.visit(url, { form: { ...hiddenOf(seen.body), ...typed }, headers: { origin } })
  }
}

export function hiddenOf(page: string): Record<string, string> {
  const fields = page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)
  return Object.fromEntries([...fields].map(([, name = '', value = '']) => [name, value]))
}

/** Whatever a page or a text could be followed to. */
export function linksIn(text: string): string[] {
  const attributes = [...text.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, link = '']) =>
    link.replaceAll('&amp;', '&'),
  )
  return [...new Set([...attributes, ...(text.match(/https?:\/\/[^\s"'<>)\]]+/g) ?? [])])]
}
