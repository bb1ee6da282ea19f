import { Agent, request } from 'node:https'
import { asAccount } from '../as-account.ts'
import { PageVisitor } from '../page-visitor.ts'
import { startSallyport, type Account, type Sallyport } from '../sallyport.ts'
import { until } from '../until.ts'
import { FakeSlack, type Acknowledged } from './fake-slack.ts'
import { buttonsOf, type FakeMessage } from './fake-workspace.ts'

/** Ids in Slack of the people of the house. */
export const SLACK_IDS = { alice: 'U0ALICE', bob: 'U0BOB', carol: 'U0CAROL' } as const
export type Person = keyof typeof SLACK_IDS
export const CHANNEL = 'C0OPS'

/**
 * The real daemon and a Slack with a channel: alice may ask for `dba`, which bob decides with a second factor, and for `ops`, which
 * carol decides in chat, and for `pair`, which takes both of them, in chat. All three have linked their accounts.
 */
export class SlackHouse implements AsyncDisposable {
  readonly sallyport: Sallyport
  readonly slack: FakeSlack
  readonly accounts: Readonly<Record<Person, Account>>

  static async open(mode: 'http' | 'socket'): Promise<SlackHouse> {
    const [sallyport, slack] = await Promise.all([startSallyport(), FakeSlack.start({ mode })])
    slack.deliver = async (path, headers, body) =>
      await post(`https://127.0.0.1:${sallyport.port}/v1/callbacks/slack/${path}`, headers, body)
    for (const [name, id] of Object.entries(SLACK_IDS)) slack.workspace.addUser(id, `${name}-in-slack`)
    slack.workspace.addChannel(CHANNEL, Object.values(SLACK_IDS))
    await rolesOf(sallyport)
    const accounts = await peopleOf(sallyport)
    const house = new SlackHouse(sallyport, slack, accounts)
    await sallyport.document(house.integration(mode))
    if (mode === 'socket') await until('the socket', () => slack.sockets.count === 1)
    for (const person of Object.keys(SLACK_IDS) as Person[]) await house.link(person)
    return house
  }

  private constructor(sallyport: Sallyport, slack: FakeSlack, accounts: SlackHouse['accounts']) {
    this.sallyport = sallyport
    this.slack = slack
    this.accounts = accounts
  }

  integration(mode: 'http' | 'socket', more: object = {}): unknown {
    const { teamId, appId, apiUrl, botToken, appToken, signingSecret } = this.slack
    return {
      kind: 'integration',
      metadata: { name: 'slack' },
      spec: {
        vendor: 'slack',
        mode,
        team_id: teamId,
        app_id: appId,
        api_url: apiUrl,
        allow_networks: ['127.0.0.0/8'],
        deliver: [{ channels: [CHANNEL], reviewers: true, requester: true }],
        secrets: {
          bot_token: botToken,
          ...(mode === 'socket' ? { app_token: appToken } : { signing_secret: signingSecret }),
        },
        ...more,
      },
    }
  }

  /** By the page that the code of `/access link` leads to. */
  async link(person: Person): Promise<void> {
    const said = await this.slack.command(SLACK_IDS[person], CHANNEL, 'link')
    const url = /https:\/\/[^"\s]+\/link\/[a-z0-9-]+/.exec(said.body)?.[0]
    if (url === undefined) throw new Error(`no page to link by in ${said.status} ${said.body}`)
    const account = this.accounts[person]
    const code = (await account.authenticator?.code()) ?? ''
    const page = await this.visitor().fill(url, { user: person, password: account.password, code })
    if (page.status !== 200) throw new Error(`${person} was not linked: ${page.status} ${page.body}`)
  }

  /** Alice, outside of chat; the reason is in every message about it. */
  async ask(role: string, reason: string, more: { readonly pendingFor?: number } = {}): Promise<string> {
    const body = { roles: [role], reason, ...more }
    const { request } = await asAccount(this.accounts.alice, (api) => api.ask({ body }))
    if (!request) throw new Error(`${role} was not asked for`)
    return request.id
  }

  visitor(): PageVisitor {
    return new PageVisitor()
  }

  /** A message of the channel or of somebody's direct messages, the newest that shows `text`. */
  message(where: Person | 'channel', text: string): FakeMessage | undefined {
    const channel = where === 'channel' ? CHANNEL : `D${SLACK_IDS[where].slice(1)}`
    return this.slack.workspace.in(channel).findLast((message) => JSON.stringify(message.blocks).includes(text))
  }

  async shown(where: Person | 'channel', text: string): Promise<FakeMessage> {
    return await until(`"${text}" in the messages of ${where}`, () => this.message(where, text))
  }

  labels(message: FakeMessage | undefined): string[] {
    return buttonsOf(message?.blocks ?? []).map(({ label }) => label)
  }

  press(person: Person, message: FakeMessage, label: string): Promise<Acknowledged> {
    return this.slack.press(SLACK_IDS[person], message, label)
  }

  /** The dialog that opens for somebody next, after `before` others. */
  async dialog(person: Person, before: number): Promise<unknown> {
    const mine = (): unknown[] => this.slack.workspace.opened.filter((open) => open.user === SLACK_IDS[person])
    return await until(`a dialog for ${person}`, () => (mine().length > before ? mine().at(-1) : null))
  }

  dialogs(person: Person): number {
    return this.slack.workspace.opened.filter((open) => open.user === SLACK_IDS[person]).length
  }

  /** Presses and waits for the dialog that this opens. */
  async pressForDialog(person: Person, message: FakeMessage, label: string): Promise<void> {
    const before = this.dialogs(person)
    const { status } = await this.press(person, message, label)
    if (status !== 200) throw new Error(`Slack was answered ${status}`)
    await this.dialog(person, before)
  }

  /** What only they saw, newest last. */
  whispersTo(person: Person): string[] {
    return this.slack.workspace.whispers.filter(({ user }) => user === SLACK_IDS[person]).map(({ text }) => text)
  }

  /**
   * Between two steps: what was sent is stored. A death between Slack's answer and the store leaves a copy that nobody knows until
   * it is pressed; the engine has tests of its own for that.
   */
  async restart(): Promise<void> {
    const open = "select count(*) as n from messages where state = 'due'"
    await until('all messages to be stored', () => this.sallyport.rows(open)[0]?.['n'] === 0)
    await this.sallyport.kill('SIGKILL')
    await this.sallyport.restart()
    await this.listening()
  }

  /** In mode `socket` clicks arrive again. */
  async listening(): Promise<void> {
    if (this.slack.mode === 'socket') await until('the socket', () => this.slack.sockets.count >= 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sallyport.stop()
    await this.slack.stop()
  }
}

async function rolesOf(sallyport: Sallyport): Promise<void> {
  const role = (name: string, allow: Record<string, unknown>, options = {}): Promise<void> =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('ops', { logins: [sallyport.login], node_labels: { service: 'web' } }, { chat_approval: 'allowed' })
  await role('pair', { logins: [sallyport.login], node_labels: { service: 'both' } }, { chat_approval: 'allowed' })
  await role('engineer', { request: { roles: ['dba', 'ops'], max_duration: '4h' } })
  const two = [{ name: 'two', filter: 'true', approve: 2, deny: 1 }]
  await role('pair-asker', { request: { roles: ['pair'], thresholds: two, max_duration: '4h' } })
  await role('dba-lead', { review_requests: { roles: ['dba', 'pair'] } })
  await role('ops-lead', { review_requests: { roles: ['ops', 'pair'] } })
}

async function peopleOf(sallyport: Sallyport): Promise<Readonly<Record<Person, Account>>> {
  await sallyport.user('alice', ['engineer', 'pair-asker'])
  await sallyport.user('bob', ['dba-lead'])
  await sallyport.user('carol', ['ops-lead'])
  const [alice, bob, carol] = await Promise.all([
    sallyport.signIn('alice'),
    sallyport.signIn('bob', { apps: 4 }),
    sallyport.signIn('carol', { apps: 4 }),
  ])
  return { alice, bob, carol }
}

/** As few connections at once as one address may have that has not signed in */
const callbacks = new Agent({ maxSockets: 8, rejectUnauthorized: false })

function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, agent: callbacks }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
