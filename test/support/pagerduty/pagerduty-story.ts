// PagerDuty and the people of a story: `dba` is told as incidents, `web` as events.
import { callDaemon } from '../daemon-page.ts'
import { openStory, type Story } from '../story.ts'
import { until } from '../until.ts'
import type { Incident } from './house.ts'
import { startPagerDuty, type PagerDuty, type PagerDutyUser, type Subscription } from './pagerduty-server.ts'

export const PRIMARY = 'PPRIMARY'

type Person = 'alice' | 'bob'

export interface PagerDutyStory extends AsyncDisposable {
  readonly story: Story<Person>
  readonly pagerduty: PagerDuty
  /** Alice, as PagerDuty knows her */
  readonly ada: PagerDutyUser
  readonly subscription: Subscription
  /** The incident about a request; there is never a second one. */
  incidentOf(id: string): Promise<Incident>
  /** The integration of incidents anew, with other settings */
  connect(more: object): Promise<void>
}

export async function openPagerDutyStory(): Promise<PagerDutyStory> {
  const [story, pagerduty] = await Promise.all([
    openStory<Person>({ people: { alice: ['engineer'], bob: ['lead'] }, apps: { bob: 2 }, roles: makeRoles }),
    startPagerDuty(),
  ])
  pagerduty.user('Sallyport', 'sallyport@acme.test')
  const ada = pagerduty.user('Alice', 'alice@acme.test')
  const subscription = pagerduty.subscribe(story.callbackUrl('pagerduty', 'events'))
  pagerduty.post = async (url, body, headers) =>
    (await callDaemon('POST', url, body, { 'content-type': 'application/json', ...headers })).status
  await connect(story, pagerduty, subscription)
  return {
    ...{ story, pagerduty, ada, subscription },
    connect: (more) => connect(story, pagerduty, subscription, more),
    async incidentOf(id) {
      const found = (): Incident[] => [...pagerduty.incidents.values()].filter(({ key }) => key === id)
      await until(`an incident about ${id}`, () => found()[0])
      await story.settled()
      const [incident, ...more] = found()
      if (!incident || more.length > 0) throw new Error(`there are ${found().length} incidents about ${id}`)
      return incident
    },
    async [Symbol.asyncDispose]() {
      await story[Symbol.asyncDispose]()
      await pagerduty[Symbol.asyncDispose]()
    },
  }
}

async function makeRoles(story: Story<Person>): Promise<void> {
  for (const name of ['dba', 'web']) await story.access(name)
  await story.role('engineer', { request: { roles: ['dba', 'web'] } })
  await story.role('lead', { review_requests: { roles: ['*'] } })
}

async function connect(
  story: Story<Person>,
  pagerduty: PagerDuty,
  { id, secrets }: Subscription,
  more: object = {},
): Promise<void> {
  const { url, service, token, routingKey } = pagerduty
  const account = { vendor: 'pagerduty', account: 'acme', api_url: url, events_url: url, from: 'sallyport@acme.test' }
  await story.integration('pagerduty', {
    ...account,
    mode: 'incidents',
    webhook_subscription: id,
    oncall: { primary: { schedule: PRIMARY } },
    deliver: [{ roles: ['dba'], channels: [service] }],
    secrets: { api_token: token, webhook_secrets: secrets },
    ...more,
  })
  await story.integration('pagerduty-events', {
    ...account,
    deliver: [{ roles: ['web'], channels: [service] }],
    secrets: { routing_keys: { [service]: routingKey } },
  })
}
