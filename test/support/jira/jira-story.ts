// Two Jiras and the people of a story: Cloud calls a webhook, Data Center is asked every second.
import { callDaemon } from '../daemon-page.ts'
import { openStory, type Story } from '../story.ts'
import { until } from '../until.ts'
import { startJira, STATUSES, type Issue, type Jira, type JiraPerson } from './jira-server.ts'
import { linksOf, readText } from './schemas.ts'

export const SECRET = 'jira-webhook-secret-77aa77aa'
const { working: _working, ...statuses } = STATUSES

type Person = 'alice' | 'bob' | 'carol'

/**
 * `dba` takes two leads and `root` a second factor, both in Jira Cloud; `web` takes one lead, in Jira Data Center. Bob and carol
 * are leads, and so is alice, who asks.
 */
export async function openJiraStory(): Promise<JiraStory> {
  const [story, cloud, server] = await Promise.all([
    openStory<Person>({
      people: { alice: ['engineer', 'operator', 'lead'], bob: ['lead'], carol: ['lead'] },
      apps: { alice: 3, bob: 4, carol: 3 },
      roles: makeRoles,
    }),
    startJira({ product: 'cloud' }),
    startJira({ product: 'datacenter' }),
  ])
  const jira = new JiraStory(story, cloud, server)
  await jira.connect()
  return jira
}

async function makeRoles(story: Story<Person>): Promise<void> {
  const chat = { chat_approval: 'allowed' }
  await story.access('dba', chat)
  await story.access('web', chat)
  await story.access('root')
  const two = [{ name: 'two leads', filter: '"lead" in reviewer.roles', approve: 2, deny: 1 }]
  await story.role('engineer', { request: { roles: ['dba'], thresholds: two } })
  await story.role('operator', { request: { roles: ['web', 'root'] } })
  await story.role('lead', { review_requests: { roles: ['*'] } })
}

/** People as they are known there. */
export function inJira(jira: Jira): Record<Person | 'mallory', JiraPerson> {
  const [alice, bob, carol, mallory] = ['Alice', 'Bob', 'Carol', 'Mallory'].map((name) => jira.person(name))
  if (!alice || !bob || !carol || !mallory) throw new Error('nobody is there')
  return { alice, bob, carol, mallory }
}

export class JiraStory implements AsyncDisposable {
  readonly story: Story<Person>
  readonly cloud: Jira
  readonly server: Jira

  constructor(story: Story<Person>, cloud: Jira, server: Jira) {
    this.story = story
    this.cloud = cloud
    this.server = server
  }

  async connect(): Promise<void> {
    const { story, cloud, server } = this
    await this.connectCloudTo(cloud)
    await story.integration('jira-dc', {
      ...{ ...this.#spec(server), poll_every: '1s', secrets: { token: server.token } },
      deliver: [{ roles: ['web'], channels: [server.project.key] }],
    })
    cloud.webhook = { url: story.callbackUrl('jira', 'events'), secret: SECRET }
    cloud.post = async (url, body, headers) =>
      (await callDaemon('POST', url, body, { 'content-type': 'application/json', ...headers })).status
  }

  async connectCloudTo(cloud: Jira): Promise<void> {
    const deliver = [{ roles: ['dba', 'root'], channels: [cloud.project.id] }]
    const secrets = { token: cloud.token, webhook_secret: SECRET }
    const spec = { ...this.#spec(cloud), user: cloud.botEmail, events: 'webhook', deliver, secrets }
    await this.story.integration('jira', spec)
  }

  #spec({ product, url, issueType }: Jira): Record<string, unknown> {
    return { vendor: 'jira', product, url, issue_type: issueType, statuses }
  }

  /** The issue about a request; there is never a second one. */
  async issueOf(jira: Jira, id: string): Promise<Issue> {
    const found = (): Issue[] => [...jira.issues.values()].filter(({ summary }) => summary.includes(id))
    await until(`an issue about ${id}`, () => found()[0])
    await this.story.settled()
    const [issue, ...more] = found()
    if (!issue || more.length > 0) throw new Error(`there are ${found().length} issues about ${id}`)
    return issue
  }

  said(issue: Issue): string {
    return issue.comments.map(({ body }) => readText(body)).join('\n')
  }

  lastLink(issue: Issue, to: string): string {
    return issue.comments.flatMap(({ body }) => linksOf(body)).findLast((url) => url.includes(to)) ?? 'none'
  }

  /** By the page of the last comment that has one. */
  async link(issue: Issue, who: Person): Promise<void> {
    await this.story.linkBy(this.lastLink(issue, '/link/'), who)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.story[Symbol.asyncDispose]()
    await this.cloud[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
  }
}
