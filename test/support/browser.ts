import { request } from 'node:https'
import { sentOrigin } from './sent-origin.ts'

/** A page as a browser has it. */
export interface Page {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** A browser of somebody: keeps cookies, sends the form of the page it shows, runs no script. `ca`: whom it trusts, PEM. */
export class Browser {
  readonly #ca: string
  readonly #cookies = new Map<string, string>()
  #url = ''
  #page: Page = { status: 0, text: '', headers: {} }

  constructor(ca: string) {
    this.#ca = ca
  }

  async open(url: string): Promise<Page> {
    this.#url = url
    return (this.#page = await this.#call('GET', ''))
  }

  /** Sends the form of the page that was opened, with its hidden fields. */
  async send(fields: Readonly<Record<string, string>>): Promise<Page> {
    const form = new URLSearchParams()
    for (const [, name = '', value = ''] of this.#page.text.matchAll(
      /<input type="hidden" name="([^"]+)" value="([^"]*)"/g,
    ))
      form.set(name, value)
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    return (this.#page = await this.#call('POST', form.toString()))
  }

  /** A form that no page of this browser showed. */
  sendTo(url: string, fields: Readonly<Record<string, string>>): Promise<Page> {
    this.#url = url
    return this.#call('POST', new URLSearchParams(fields).toString())
  }

  #call(method: string, body: string): Promise<Page> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return new Promise((resolve, reject) => {
      const sent = request(
        this.#url,
        {
          method,
          ca: this.#ca,
          headers: {
            ...(cookie === '' ? {} : { cookie }),
            ...(method === 'POST'
              ? {
                  'content-type': 'application/x-www-form-urlencoded',
                  origin: sentOrigin(this.#url, this.#page.headers['referrer-policy']),
                }
              : {}),
            'content-length': Buffer.byteLength(body),
          },
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            for (const set of answer.headers['set-cookie'] ?? []) {
              const [, name, value] = /^([^=]+)=([^;]*)/.exec(set) ?? []
              if (name !== undefined && value !== undefined) this.#cookies.set(name, value)
            }
            resolve({
              status: answer.statusCode ?? 0,
              text: Buffer.concat(chunks).toString(),
              headers: answer.headers,
            })
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
}
