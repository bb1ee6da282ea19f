// A request's story, whatever it is told through: the real daemon, people who are signed in, and how it stands with a request.
//
//   const story = await openStory({ people: { alice: ['engineer'], bob: ['lead'] }, async roles(story) { await story.role(...) } })
//   const id = await story.ask('alice', 'dba', 'ticket 1', '--duration=2h')
//   await story.killed()                                   // SIGKILL once nothing is on its way, and up again
//   await story.linkBy(url, 'bob')                         // the page of `/access link`: name, password, code
import type { AccessRequest } from '../../src/contract/request.ts'
import { sendPage, type PageAnswer } from './daemon-page.ts'
import { startSallyport, type Account, type Sallyport, type SallyportOptions } from './sallyport.ts'
import { until } from './until.ts'

export interface StoryOptions<Person extends string> {
  /** Who there is, and their roles */
  readonly people: Readonly<Record<Person, readonly string[]>>
  roles(story: Story<Person>): Promise<void>
  /** Authenticator apps of whoever types codes: each gives one in half a minute */
  readonly apps?: Readonly<Partial<Record<Person, number>>>
  readonly daemon?: SallyportOptions
}

export async function openStory<Person extends string>(options: StoryOptions<Person>): Promise<Story<Person>> {
  const story = new Story<Person>(await startSallyport(options.daemon ?? {}))
  try {
    await options.roles(story)
    await story.welcome(options)
  } catch (error) {
    await story[Symbol.asyncDispose]()
    throw error
  }
  return story
}

export class Story<Person extends string = string> implements AsyncDisposable {
  readonly sallyport: Sallyport
  readonly #accounts = new Map<Person, Account>()

  constructor(sallyport: Sallyport) {
    this.sallyport = sallyport
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sallyport.stop()
  }

  async welcome({ people, apps }: Pick<StoryOptions<Person>, 'people' | 'apps'>): Promise<void> {
    const names = Object.keys(people) as Person[]
    for (const name of names) await this.sallyport.user(name, people[name], {}, `${name}@acme.test`)
    const count = (name: Person): { apps: number } | Record<string, never> => {
      const some = apps?.[name]
      return some === undefined ? {} : { apps: some }
    }
    await Promise.all(
      names.map(async (name) => this.#accounts.set(name, await this.sallyport.signIn(name, count(name)))),
    )
  }

  person(name: Person): Account {
    const account = this.#accounts.get(name)
    if (!account) throw new Error(`there is no ${name}`)
    return account
  }

  role(name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}): Promise<void> {
    return this.sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  }

  /** A role that gives the login on nodes labelled with its name. */
  access(name: string, options: Record<string, unknown> = {}): Promise<void> {
    return this.role(name, { logins: [this.sallyport.login], node_labels: { service: name } }, options)
  }

  integration(name: string, spec: Record<string, unknown>): Promise<void> {
    const local = { allow_networks: ['127.0.0.0/8'], ...spec }
    return this.sallyport.document({ kind: 'integration', version: 'v1', metadata: { name }, spec: local })
  }

  /** Id of the request. */
  async ask(who: Person, role: string, reason: string, ...more: readonly string[]): Promise<string> {
    const args = [`--roles=${role}`, `--reason=${reason}`, '--nowait', '--format=json', ...more]
    return idIn(await this.person(who).sally('request', 'create', ...args))
  }

  /** `extend`, `cancel`, `return` and whatever else names a request; its id, or that of the one that it makes. */
  async say(who: Person, verb: string, id: string, ...more: readonly string[]): Promise<string> {
    return idIn(await this.person(who).sally('request', verb, id, ...more, '--format=json'))
  }

  request(id: string): Promise<AccessRequest> {
    return this.sallyport.api.showRequest({ params: { id } })
  }
  async state(id: string): Promise<AccessRequest['state']> {
    return (await this.request(id)).state
  }
  /** Who voted, in order. */
  async votes(id: string): Promise<string[]> {
    return (await this.request(id)).reviews.map(({ reviewer }) => reviewer)
  }

  /** By the command line, with a code. */
  async review(who: Person, id: string, decision: 'approve' | 'deny' = 'approve'): Promise<void> {
    const code = `--code=${await this.code(who)}`
    const done = await this.person(who).sally('request', 'review', id, `--${decision}`, '--reason=read it', code)
    if (done.code !== 0) throw new Error(done.stderr)
  }

  async code(who: Person): Promise<string> {
    return (await this.person(who).authenticator?.code()) ?? ''
  }

  /** Nothing is on its way. */
  async settled(): Promise<void> {
    const due = "select id from messages where state = 'due'"
    await until('messages to be sent', () => this.sallyport.rows(due).length === 0)
  }

  /** Between two steps: what was begun is done. */
  async killed(): Promise<void> {
    await this.settled()
    await this.killedNow()
  }

  /** In the midst of whatever it does. */
  async killedNow(): Promise<void> {
    await this.sallyport.kill('SIGKILL')
    await this.sallyport.restart()
  }

  /** As the page says: name, password and a code. */
  async linkBy(url: string, who: Person): Promise<PageAnswer> {
    const { name, password } = this.person(who)
    const page = await sendPage(url, { user: name, password, code: await this.code(who) })
    if (!page.text.includes('The account is linked'))
      throw new Error(`${who} was not linked: ${page.status} ${page.text}`)
    return page
  }

  /** The daemon's own address of what is called back. */
  callbackUrl(integration: string, path: string): string {
    return `https://127.0.0.1:${this.sallyport.port}/v1/callbacks/${integration}/${path}`
  }
}

function idIn({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string {
  const id = /\breq_[0-9a-f-]{36}\b/.exec(stdout)?.[0]
  if (id === undefined) throw new Error(stderr)
  return id
}
