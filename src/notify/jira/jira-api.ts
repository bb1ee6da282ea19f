import { z } from 'zod'
import type { JiraSecrets, JiraSettings } from '../../contract/vendors/jira.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { OutboundAnswer, OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { failureOf, jsonOf, waitOf } from '../vendor-answer.ts'
import { adfOf, plainOf, wikiOf, type Paper } from './paper.ts'

/** Key of the entity property that we set on each issue. Who may edit the issue can change it: nothing is believed for it. */
export const MARK = 'sallyport'

/** What we last made of an issue. */
export const IssueMark = z.object({
  request: z.string(),
  message: z.string(),
  state: z.enum(['pending', 'approved', 'denied', 'closed']),
  cut: z.boolean(),
})
export type IssueMark = z.infer<typeof IssueMark>

const Id = z.union([z.string(), z.number()]).transform(String)
const Issue = z.object({
  id: Id,
  key: z.string().optional(),
  fields: z.object({ summary: z.string().nullish(), status: z.object({ id: Id }).optional() }).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
})
const Found = z.object({ issues: z.array(Issue), nextPageToken: z.string().nullish() })
const Transitions = z.object({ transitions: z.array(z.object({ id: Id, to: z.object({ id: Id }).optional() })) })
const Me = z.object({ accountId: z.string().optional(), key: z.string().optional() })
const Comments = z.object({
  comments: z.array(
    z.object({
      id: Id,
      author: z.object({ accountId: z.string().optional(), key: z.string().optional() }).optional(),
      created: z.string().optional(),
      body: z.unknown(),
    }),
  ),
})

export interface JiraIssue {
  readonly id: string
  readonly key: string
  readonly summary: string
  readonly status: string
  readonly mark: IssueMark | null
}

const WAIT_HEADERS = ['retry-after'] as const
/** Statuses with which Jira refuses a move that somebody else was faster with. */
const RACED = [400, 409, 422] as const
const PAGE = 50
const MOST_PAGES = 20

interface ApiParts {
  readonly settings: JiraSettings
  readonly secrets: JiraSecrets
  readonly fetch: OutboundFetch
  readonly clock: Clock
}

/** The ten calls of Jira that we make, for Cloud (API 3) and Data Center (API 2). Errors: DeliveryFailed. */
export class JiraApi {
  readonly #parts: ApiParts
  #me: string | null = null

  constructor(parts: ApiParts) {
    this.#parts = parts
  }

  /** Account of our own token. */
  async me(signal: AbortSignal): Promise<string> {
    if (this.#me !== null) return this.#me
    const { accountId, key } = await this.#get('/myself', Me, signal)
    const id = accountId ?? key
    if (id === undefined) throw new DeliveryFailed('integration', 'Jira does not say whose token it is')
    this.#me = id
    return id
  }

  /** The issue's id. `project`: id or key. */
  async create(project: string, summary: string, paper: Paper, mark: IssueMark, signal: AbortSignal): Promise<string> {
    const { settings } = this.#parts
    const body = {
      fields: {
        project: /^\d/.test(project) ? { id: project } : { key: project },
        issuetype: { id: settings.issue_type },
        summary,
        description: this.#written(paper),
      },
      properties: [{ key: MARK, value: this.#value(mark) }],
    }
    const { json } = await this.#send('POST', '/issue', { body, signal })
    return this.#parsed(Issue, json, 'POST /issue').id
  }

  async edit(id: string, summary: string, paper: Paper, signal: AbortSignal): Promise<void> {
    const body = { fields: { summary, description: this.#written(paper) } }
    await this.#send('PUT', `/issue/${encodeURIComponent(id)}`, { body, signal })
  }

  async setMark(id: string, mark: IssueMark, signal: AbortSignal): Promise<void> {
    await this.#send('PUT', `/issue/${encodeURIComponent(id)}/properties/${MARK}`, { body: this.#value(mark), signal })
  }

  async issue(id: string, signal: AbortSignal): Promise<JiraIssue> {
    const path = `/issue/${encodeURIComponent(id)}?fields=summary,status&properties=${MARK}`
    return shown(await this.#get(path, Issue, signal))
  }

  /** Moves the issue into a status, if it is not there; false: nobody can move it there from where it is. */
  async moveTo(id: string, status: string, signal: AbortSignal): Promise<boolean> {
    if ((await this.issue(id, signal)).status === status) return true
    const path = `/issue/${encodeURIComponent(id)}/transitions`
    const { transitions } = await this.#get(path, Transitions, signal)
    const way = transitions.find((each) => each.to?.id === status)
    if (!way) return false
    const body = { transition: { id: way.id } }
    const { answer } = await this.#send('POST', path, { body, signal, ok: RACED })
    if (answer.status < 300 || (await this.issue(id, signal)).status === status) return true
    throw new DeliveryFailed('retry', `Jira: the issue was moved by somebody else (${answer.status})`)
  }

  /** The comment's id. */
  async comment(id: string, paper: Paper, signal: AbortSignal): Promise<string> {
    const path = `/issue/${encodeURIComponent(id)}/comment`
    const { json } = await this.#send('POST', path, { body: { body: this.#written(paper) }, signal })
    return this.#parsed(z.object({ id: Id }), json, 'POST comment').id
  }

  /** A comment of our own account that says this, of `since` or later; null: there is none. */
  async findComment(id: string, paper: Paper, since: number, signal: AbortSignal): Promise<string | null> {
    const me = await this.me(signal)
    const path = `/issue/${encodeURIComponent(id)}/comment?orderBy=-created&maxResults=100`
    const { comments } = await this.#get(path, Comments, signal)
    const isWiki = this.#parts.settings.product === 'datacenter'
    const wanted = squeezed(isWiki ? wikiOf(paper) : plainOf(paper))
    const said = (body: unknown): string => squeezed(typeof body === 'string' ? body : plainAdf(body))
    const found = comments.find(
      ({ author, body, created = '' }) =>
        (author?.accountId ?? author?.key) === me && said(body) === wanted && !(Date.parse(created) < since),
    )
    return found?.id ?? null
  }

  /** Issues that our own account made in these projects and that changed in the last minutes; each once. */
  async own(projects: readonly string[], changedWithin: number, signal: AbortSignal): Promise<JiraIssue[]> {
    const list = projects.map((project) => JSON.stringify(project)).join(', ')
    const jql = `project in (${list}) AND creator = currentUser() AND updated >= "-${changedWithin}m" ORDER BY updated DESC`
    return this.#parts.settings.product === 'cloud' ? this.#searchCloud(jql, signal) : this.#searchOld(jql, signal)
  }

  async #searchCloud(jql: string, signal: AbortSignal): Promise<JiraIssue[]> {
    const issues: JiraIssue[] = []
    let token: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const asked = { jql, fields: ['summary', 'status'], properties: [MARK], maxResults: PAGE }
      const body = token === undefined ? asked : { ...asked, nextPageToken: token }
      const { json } = await this.#send('POST', '/search/jql', { body, signal })
      const found = this.#parsed(Found, json, 'POST /search/jql')
      issues.push(...found.issues.map(shown))
      token = found.nextPageToken ?? undefined
      if (token === undefined) break
    }
    return issues
  }

  /** Data Center's search gives no properties: they are read one by one. */
  async #searchOld(jql: string, signal: AbortSignal): Promise<JiraIssue[]> {
    const issues: JiraIssue[] = []
    for (let page = 0; page < MOST_PAGES; page++) {
      const body = { jql, fields: ['summary', 'status'], startAt: page * PAGE, maxResults: PAGE }
      const { json } = await this.#send('POST', '/search', { body, signal })
      const found = this.#parsed(Found, json, 'POST /search').issues
      for (const { id } of found) issues.push(await this.issue(id, signal))
      if (found.length < PAGE) break
    }
    return issues
  }

  /** Names of the issue types of a project by id. */
  async issueTypes(project: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const types = z.array(z.object({ id: Id, name: z.string() }))
    const shape = z.object({ issueTypes: types.optional(), values: types.optional() })
    const found = await this.#get(`/issue/createmeta/${encodeURIComponent(project)}/issuetypes`, shape, signal)
    return new Map([...(found.issueTypes ?? []), ...(found.values ?? [])].map(({ id, name }) => [id, name]))
  }

  /** Data Center's description takes texts alone for properties. */
  #value(mark: IssueMark): unknown {
    return this.#parts.settings.product === 'cloud' ? mark : JSON.stringify(mark)
  }

  #written(paper: Paper): unknown {
    return this.#parts.settings.product === 'cloud' ? adfOf(paper) : wikiOf(paper)
  }

  async #get<S extends z.ZodType>(path: string, shape: S, signal: AbortSignal): Promise<z.output<S>> {
    const { json } = await this.#send('GET', path, { signal })
    return this.#parsed(shape, json, `GET ${path.split('?', 1)[0] ?? ''}`)
  }

  #parsed<S extends z.ZodType>(shape: S, json: unknown, what: string): z.output<S> {
    const parsed = shape.safeParse(json)
    if (parsed.success) return parsed.data
    throw new DeliveryFailed('retry', `Jira: ${what} answered something else`)
  }

  async #send(
    method: string,
    path: string,
    { body, signal, ok = [] }: { body?: unknown; signal: AbortSignal; ok?: readonly number[] },
  ): Promise<{ answer: OutboundAnswer; json: unknown }> {
    const { settings, secrets, fetch, clock } = this.#parts
    const root = settings.product === 'cloud' ? '/rest/api/3' : '/rest/api/2'
    const answer = await fetch(`${settings.url}${root}${path}`, {
      method,
      headers: { authorization: authorizationOf(settings, secrets), accept: 'application/json', ...JSON_BODY },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    })
    const json = jsonOf(answer)
    if ((answer.status >= 200 && answer.status < 300) || ok.includes(answer.status)) return { answer, json }
    const what = `Jira: ${method} ${path.split('?', 1)[0] ?? ''}`
    if (answer.status === 403)
      throw new DeliveryFailed(
        'destination',
        `${what} was answered 403${saidBy(json)}`,
        waitOf(answer, clock.now(), []),
      )
    throw answer.status === 400
      ? new DeliveryFailed('defect', `${what} was answered 400${saidBy(json)}`)
      : failureOf(what, answer, clock.now(), WAIT_HEADERS)
  }
}

const JSON_BODY = { 'content-type': 'application/json' } as const

function authorizationOf({ product, user }: JiraSettings, { token }: JiraSecrets): string {
  if (product === 'datacenter') return `Bearer ${token}`
  return `Basic ${Buffer.from(`${user ?? ''}:${token}`).toString('base64')}`
}

function shown({ id, key = '', fields, properties }: z.output<typeof Issue>): JiraIssue {
  const mark = IssueMark.safeParse(unwrapped(properties?.[MARK]))
  const summary = fields?.summary ?? ''
  return { id, key, summary, status: fields?.status?.id ?? '', mark: mark.success ? mark.data : null }
}

function unwrapped(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}

const Refusal = z.object({
  errorMessages: z.array(z.string()).optional(),
  errors: z.record(z.string(), z.string()).optional(),
})

/** Jira's own words, for operators: which field or permission it was. */
function saidBy(json: unknown): string {
  const parsed = Refusal.safeParse(json)
  if (!parsed.success) return ''
  const { errorMessages = [], errors = {} } = parsed.data
  const said = [...errorMessages, ...Object.entries(errors).map(([field, text]) => `${field}: ${text}`)].join('; ')
  return said === '' ? '' : `: ${said.slice(0, 200)}`
}

const squeezed = (text: string): string => text.replace(/\s+/g, '')

function plainAdf(node: unknown): string {
  const seen = z.object({
    type: z.string().optional(),
    text: z.string().optional(),
    content: z.array(z.unknown()).optional(),
  })
  const parsed = seen.safeParse(node)
  if (!parsed.success) return ''
  const { type, text, content = [] } = parsed.data
  return text ?? content.map(plainAdf).join(type === 'doc' ? ' ' : '')
}
