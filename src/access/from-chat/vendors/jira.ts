import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { RawCallback } from '../../../contract/from-chat.ts'
import { JiraSecrets, JiraSettings, NO_ISSUE_OF_OURS } from '../../../contract/vendors/jira.ts'
import type { OutboundFetch } from '../../../foundation/outbound-fetch.ts'
import type { ChatVerifier, Verified } from '../chat-verifier.ts'
import { ChangedIssue, ChangePage, isTextOf, moveOf, type History } from './jira-moves.ts'

/** What a webhook and our own polling name: which issue, and perhaps which change. Who and what is read from Jira itself. */
const Told = z.object({
  issue: z.object({
    id: z
      .union([z.string(), z.int()])
      .transform(String)
      .pipe(z.string().regex(/^\d{1,18}$/)),
  }),
  changelog: z
    .object({
      id: z.union([z.string(), z.int()]).transform(String).optional(),
      items: z.array(z.object({ field: z.string() })).optional(),
    })
    .optional(),
})
const Me = z.object({ accountId: z.string().optional(), key: z.string().optional() })
const Cut = z.object({ cut: z.boolean() })
/** As we made it, or as Data Center keeps what was given at the creation: as a text. */
const Mark = z.object({
  properties: z.object({
    sallyport: z.union([Cut, z.string().transform((text) => Cut.parse(parsedJson(Buffer.from(text))))]),
  }),
})

const PAGE = 100
const MOST_PAGES = 20

export const jiraVerifier: ChatVerifier = {
  vendor: 'jira',
  async verify(callback, opened, parts): Promise<Verified> {
    const settings = JiraSettings.parse(opened.settings)
    const secrets = JiraSecrets.parse(opened.secrets)
    if (callback.via === 'http' && !isSigned(callback, secrets.webhook_secret))
      return { kind: 'rejected', why: 'signature' }
    const told = Told.safeParse(parsedJson(callback.body))
    if (!told.success) return { kind: 'ignored', why: 'no issue' }
    const { issue, changelog } = told.data
    const isMove = callback.via === 'socket' || changelog?.items?.some(({ field }) => field === 'status') === true
    if (!isMove) return { kind: 'ignored', why: 'nothing was moved' }
    if ((await parts.messageNamed(issue.id)) === null) return { kind: 'ignored', why: NO_ISSUE_OF_OURS }
    return judged(new Reader(settings, secrets, parts.fetch), settings, issue.id, changelog?.id ?? null)
  },
}

/** `X-Hub-Signature: sha256=HEX` over the exact bytes. Without a secret nothing is signed. */
function isSigned({ headers, body }: RawCallback, secret: string | undefined): boolean {
  if (secret === undefined) return false
  const given = /^sha256=([0-9a-f]{64})$/i.exec(headers['x-hub-signature'] ?? '')?.[1]
  if (given === undefined) return false
  return timingSafeEqual(Buffer.from(given, 'hex'), createHmac('sha256', secret).update(body).digest())
}

async function judged(reader: Reader, settings: JiraSettings, issue: string, named: string | null): Promise<Verified> {
  const histories = await reader.histories(issue)
  const move = moveOf(histories, settings.statuses, named)
  if (!move) return { kind: 'ignored', why: 'no move out of waiting' }
  if (!move.author?.isPerson) return { kind: 'ignored', why: 'not moved by a person' }
  const me = await reader.me()
  if (move.author.id === me) return { kind: 'ignored', why: 'our own account' }
  if (!isTextOf(me, histories, move)) return { kind: 'ignored', why: 'somebody else has changed what the issue says' }
  if (await reader.isCut(issue)) return { kind: 'ignored', why: 'the issue does not show everything' }
  const account = { tenant: new URL(settings.url).host, id: move.author.id, name: move.author.name }
  // What was typed elsewhere in Jira is not the reason of this move.
  const when = move.at === undefined ? {} : { at: move.at }
  const act = { kind: 'moved', message: issue, decision: move.decision, reason: '', ...when } as const
  return { kind: 'event', event: { eventId: `${issue}/${move.id}`, account, act } }
}

function parsedJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

/** Reads again from Jira what a payload claims. Errors: when Jira cannot be asked; it calls again, or is asked again. */
class Reader {
  readonly #settings: JiraSettings
  readonly #authorization: string
  readonly #fetch: OutboundFetch

  constructor(settings: JiraSettings, { token }: JiraSecrets, fetch: OutboundFetch) {
    this.#settings = settings
    this.#fetch = fetch
    const basic = Buffer.from(`${settings.user ?? ''}:${token}`).toString('base64')
    this.#authorization = settings.product === 'cloud' ? `Basic ${basic}` : `Bearer ${token}`
  }

  async me(): Promise<string | undefined> {
    const { accountId, key } = await this.#get('/myself', Me)
    return accountId ?? key
  }

  async isCut(issue: string): Promise<boolean> {
    const found = await this.#get(`/issue/${issue}?fields=status&properties=sallyport`, z.unknown())
    const mark = Mark.safeParse(found)
    // An issue without our mark was tampered with.
    return !mark.success || mark.data.properties.sallyport.cut
  }

  async histories(issue: string): Promise<readonly History[]> {
    if (this.#settings.product === 'datacenter') {
      const { changelog } = await this.#get(`/issue/${issue}?expand=changelog&fields=status`, ChangedIssue)
      if ((changelog.total ?? 0) > changelog.histories.length) throw new Error('Jira gave a part of the changes')
      return changelog.histories
    }
    const all: History[] = []
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = `startAt=${all.length}&maxResults=${PAGE}`
      const { values, isLast, total = 0 } = await this.#get(`/issue/${issue}/changelog?${query}`, ChangePage)
      all.push(...values)
      if (values.length === 0 || (isLast ?? all.length >= total)) return all
    }
    throw new Error('the issue was changed too often')
  }

  async #get<S extends z.ZodType>(path: string, shape: S): Promise<z.output<S>> {
    const { url, product } = this.#settings
    const answer = await this.#fetch(`${url}/rest/api/${product === 'cloud' ? '3' : '2'}${path}`, {
      method: 'GET',
      headers: { authorization: this.#authorization, accept: 'application/json' },
    })
    if (answer.status !== 200) throw new Error(`Jira answered ${answer.status} when it was asked who moved an issue`)
    return shape.parse(parsedJson(answer.body))
  }
}
