import { z } from 'zod'
import { BODIES, CloudSearch, OldSearch, Transition } from './schemas.ts'
import { refusal, STATUSES, type Answer, type Call, type Issue, type JiraHouse } from './house.ts'

type Handle = (jira: JiraHouse, call: Call, parts: readonly string[]) => Answer

const withIssue =
  (handle: (jira: JiraHouse, call: Call, issue: Issue, parts: readonly string[]) => Answer): Handle =>
  (jira, call, [id = '', ...parts]) => {
    const issue = jira.issues.get(id) ?? [...jira.issues.values()].find(({ key }) => key === id)
    return issue ? handle(jira, call, issue, parts) : refusal(404, 'Issue does not exist or you do not have permission')
  }

function taken<S extends z.ZodType>(shape: S, body: unknown, then: (value: z.output<S>) => Answer): Answer {
  const parsed = shape.safeParse(body)
  if (parsed.success) return then(parsed.data)
  return refusal(400, `INVALID_INPUT ${z.prettifyError(parsed.error)}`)
}

interface Written {
  readonly fields: { readonly summary: string; readonly description: unknown }
}

const create: Handle = (jira, { body }) =>
  taken(BODIES[jira.product].create, body, (value) => {
    const { fields, properties } = value
    const project = 'id' in fields.project ? fields.project.id : fields.project.key
    if (project !== jira.project.id && project !== jira.project.key)
      return { status: 400, body: { errorMessages: [], errors: { project: 'valid project is required' } } }
    if (fields.issuetype.id !== jira.issueType)
      return { status: 400, body: { errorMessages: [], errors: { issuetype: 'valid issue type is required' } } }
    const id = jira.newId()
    const issue: Issue = {
      id,
      key: `${jira.project.key}-${id}`,
      creator: jira.bot.id,
      createdAt: jira.now(),
      updatedAt: jira.now(),
      summary: fields.summary,
      description: fields.description,
      status: STATUSES.pending,
      properties: new Map(properties.map(({ key, value: set }) => [key, set])),
      comments: [],
      history: [],
    }
    jira.issues.set(id, issue)
    return { status: 201, body: { id, key: issue.key, self: `${jira.url}/rest/api/2/issue/${id}` } }
  })

const edit = withIssue((jira, { body }, issue) =>
  taken(BODIES[jira.product].edit, body, (value) => {
    const { fields } = value as Written
    jira.log(issue, jira.bot, fields)
    issue.summary = fields.summary
    issue.description = fields.description
    issue.updatedAt = jira.now()
    return { status: 204 }
  }),
)

/** As much of an issue as was asked for. */
function shownIssue(issue: Issue, properties: readonly string[]): object {
  const set = properties.filter((key) => issue.properties.has(key)).map((key) => [key, issue.properties.get(key)])
  return {
    id: issue.id,
    key: issue.key,
    fields: { summary: issue.summary, status: { id: issue.status, name: `status ${issue.status}` } },
    ...(properties.length > 0 ? { properties: Object.fromEntries(set) as object } : {}),
  }
}

const listed = (text: string | null): string[] => (text ?? '').split(',').filter((part) => part !== '')

const histories = (jira: JiraHouse, { history }: Issue): object[] =>
  history.map(({ id, author, created, items }) => ({
    ...{ id, author: jira.shownAccount(author), items },
    created: new Date(created).toISOString().replace('Z', '+0000'),
  }))

const read = withIssue((jira, { query }, issue) => {
  const shown = shownIssue(issue, listed(query.get('properties')))
  if (jira.product === 'cloud' || query.get('expand') !== 'changelog') return { status: 200, body: shown }
  const all = histories(jira, issue)
  return {
    status: 200,
    body: { ...shown, changelog: { startAt: 0, maxResults: all.length, total: all.length, histories: all } },
  }
})

/** Two at a time, so that whoever reads one page has read half. */
const changelog = withIssue((jira, { query }, issue) => {
  if (jira.product !== 'cloud') return refusal(404, 'null for uri')
  const startAt = Number(query.get('startAt') ?? '0')
  const all = histories(jira, issue)
  const values = all.slice(startAt, startAt + 2)
  const isLast = startAt + values.length >= all.length
  return { status: 200, body: { startAt, maxResults: 2, total: all.length, isLast, values } }
})

const ways = (jira: JiraHouse, issue: Issue) =>
  jira.transitions.filter(({ to, from }) => to !== issue.status && (from === undefined || from === issue.status))

const transitions = withIssue((jira, _call, issue) => ({
  status: 200,
  body: { transitions: ways(jira, issue).map(({ id, to }) => ({ id, name: `to ${to}`, to: { id: to, name: to } })) },
}))

const transition = withIssue((jira, { body }, issue) =>
  taken(Transition, body, ({ transition: { id } }) => {
    const way = ways(jira, issue).find((each) => each.id === id)
    if (!way)
      return refusal(
        jira.product === 'cloud' ? 409 : 400,
        'It seems that you have tried to perform a workflow operation that is not valid for the current state',
      )
    jira.move(issue, way.to, jira.bot).catch(() => {})
    return { status: 204 }
  }),
)

const addComment = withIssue((jira, { body }, issue) =>
  taken(BODIES[jira.product].comment, body, ({ body: said }) => {
    const id = jira.newId()
    issue.comments.push({ id, author: jira.bot, body: said, created: jira.now() })
    issue.updatedAt = jira.now()
    return { status: 201, body: { id } }
  }),
)

/** Jira writes zones without a colon. */
const shownComment = (jira: JiraHouse, { id, author, body, created }: Issue['comments'][number]): object => ({
  id,
  author: jira.shownAccount(author),
  body,
  created: new Date(created).toISOString().replace('Z', '+0000'),
})

const comments = withIssue((jira, _call, issue) => ({
  status: 200,
  body: {
    startAt: 0,
    maxResults: 100,
    total: issue.comments.length,
    comments: issue.comments.map((each) => shownComment(jira, each)).reverse(),
  },
}))

const setProperty = withIssue((jira, { body }, issue, [key = '']) => {
  if (JSON.stringify(body ?? null).length > 32_768) return refusal(400, 'the property is too long')
  issue.properties.set(key, body)
  issue.updatedAt = jira.now()
  return { status: 200 }
})

/** Understands the one query that we ask. */
function found(jira: JiraHouse, jql: string): Issue[] | null {
  const asked =
    /^project in \(([^)]*)\) AND creator = currentUser\(\) AND updated >= "-(\d+)m" ORDER BY updated DESC$/.exec(jql)
  if (!asked) return null
  const projects = (asked[1] ?? '').split(', ').map((text) => JSON.parse(text) as string)
  if (!projects.includes(jira.project.id) && !projects.includes(jira.project.key)) return []
  const now = jira.now()
  return [...jira.issues.values()]
    .filter((issue) => issue.creator === jira.bot.id && issue.updatedAt >= now - Number(asked[2]) * 60_000)
    .filter((issue) => issue.createdAt <= now - jira.searchLagMs)
    .reverse()
}

const badQuery = (jql: string): Answer => refusal(400, `Error in the JQL Query: ${jql}`)

const cloudSearch: Handle = (jira, { body }) =>
  taken(CloudSearch, body, ({ jql, properties, nextPageToken }) => {
    const all = found(jira, jql)
    if (!all) return badQuery(jql)
    const at = Number(nextPageToken ?? '0')
    const issues = all.slice(at, at + 2).map((issue) => shownIssue(issue, properties))
    return {
      status: 200,
      body: at + 2 < all.length ? { issues, nextPageToken: String(at + 2) } : { issues, isLast: true },
    }
  })

const oldSearch: Handle = (jira, { body }) =>
  taken(OldSearch, body, ({ jql, startAt, maxResults }) => {
    if (jira.product === 'cloud')
      return refusal(410, 'The requested API has been removed. Please migrate to /search/jql')
    const all = found(jira, jql)
    if (!all) return badQuery(jql)
    const issues = all.slice(startAt, startAt + maxResults).map((issue) => shownIssue(issue, []))
    return { status: 200, body: { startAt, maxResults, total: all.length, issues } }
  })

const me: Handle = (jira) => ({ status: 200, body: jira.shownAccount(jira.bot) })

const issueTypes: Handle = (jira, _call, [project]) => {
  if (project !== jira.project.id && project !== jira.project.key) return refusal(404, 'No project could be found')
  const types = [{ id: jira.issueType, name: 'Access request' }]
  return { status: 200, body: jira.product === 'cloud' ? { issueTypes: types, total: 1 } : { values: types } }
}

export const ROUTES: readonly (readonly [string, RegExp, Handle])[] = [
  ['GET', /^\/myself$/, me],
  ['POST', /^\/issue$/, create],
  ['GET', /^\/issue\/createmeta\/([^/]+)\/issuetypes$/, issueTypes],
  ['GET', /^\/issue\/([^/]+)$/, read],
  ['PUT', /^\/issue\/([^/]+)$/, edit],
  ['GET', /^\/issue\/([^/]+)\/changelog$/, changelog],
  ['GET', /^\/issue\/([^/]+)\/transitions$/, transitions],
  ['POST', /^\/issue\/([^/]+)\/transitions$/, transition],
  ['GET', /^\/issue\/([^/]+)\/comment$/, comments],
  ['POST', /^\/issue\/([^/]+)\/comment$/, addComment],
  ['PUT', /^\/issue\/([^/]+)\/properties\/([^/]+)$/, setProperty],
  ['POST', /^\/search\/jql$/, cloudSearch],
  ['POST', /^\/search$/, oldSearch],
]
