import type { CallbackAnswer, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import { parseDuration } from '../../contract/duration.ts'
import type { MessageTask, RequestView } from '../../contract/message.ts'
import { NO_ISSUE_OF_OURS, type JiraSecrets, type JiraSettings } from '../../contract/vendors/jira.ts'
import { sleep } from '../../foundation/clock.ts'
import { DeliveryFailed, type CheckLine, type Connector, type ConnectorParts } from '../connector.ts'
import { Turns } from '../turns.ts'
import { visibleText } from '../words/inert-text.ts'
import { issueIn } from './issue-in.ts'
import { JiraApi, type IssueMark, type JiraIssue } from './jira-api.ts'
import type { Paper } from './paper.ts'
import { commentOf, issueOf } from './render-issue.ts'

/** With webhooks, what none of them told is found so often. */
const SWEEP_MS = 300_000
/** Looked back at a start, and then beyond the time between two looks, in minutes. */
const FIRST_LOOK_MIN = 2880
const OVERLAP_MIN = 2
/** How long Jira's search may lag behind what was created: as long as that what is not found may be there. */
const SEARCH_LAG_MS = 15_000

/** An issue for each request, in the project that a delivery names. */
export class JiraConnector implements Connector {
  readonly vendor = 'jira'
  readonly #parts: ConnectorParts<JiraSettings, JiraSecrets>
  readonly #api: JiraApi
  readonly #turns = new Turns()
  /** Issues with a move that was counted a moment ago: what becomes of them is on its way */
  readonly #counted = new Set<string>()
  /** Messages that were looked for and not found, and since when, by the monotonic clock */
  readonly #missed = new Map<string, number>()
  #fromChat: FromChat | null = null

  constructor(parts: ConnectorParts<JiraSettings, JiraSecrets>) {
    this.#parts = parts
    this.#api = new JiraApi(parts)
  }

  async deliver(task: MessageTask, signal: AbortSignal): Promise<string> {
    const { content, destination, external, thread } = task
    if (content.kind === 'notice') {
      if (external !== null) return external
      if (thread === null) throw new DeliveryFailed('destination', 'Jira tells nothing outside of an issue')
      return `${thread}/${await this.#api.comment(thread, commentOf(content.view), signal)}`
    }
    if (destination.channel === null)
      throw new DeliveryFailed('destination', 'Jira has issues in projects, none for one person')
    if (external !== null) return this.#turns.take(external, () => this.#bring(external, task, content.view, signal))
    return this.#create(destination.channel, task, content.view, signal)
  }

  async #create(project: string, task: MessageTask, view: RequestView, signal: AbortSignal): Promise<string> {
    const { summary, paper, cut } = issueOf(view, this.#parts.settings.product, canMove(task))
    const mark = { request: view.id, message: task.id, state: 'pending', cut } as const
    const id = await this.#api.create(project, summary, paper, mark, signal)
    if (stateOf(view) === 'pending') return id
    // What comes next can be done again: the issue is found by its mark.
    await this.#turns.take(id, () => this.#bring(id, task, view, signal))
    return id
  }

  /** Comments are there at once; of issues the search learns later, so that one that is not found is waited for. */
  async find(
    { id, content, destination, thread }: MessageTask,
    since: number,
    signal: AbortSignal,
  ): Promise<string | null> {
    if (content.kind === 'notice') {
      const said = thread === null ? null : await this.#api.findComment(thread, commentOf(content.view), since, signal)
      return said === null ? null : `${thread}/${said}`
    }
    if (destination.channel === null) return null
    const { clock } = this.#parts
    const minutes = Math.max(0, Math.ceil((clock.now() - since) / 60_000)) + OVERLAP_MIN
    const own = await this.#api.own([destination.channel], minutes, signal)
    const found = own.find(({ mark }) => mark?.message === id && mark.request === content.view.id)
    const left = (this.#missed.get(id) ?? clock.monotonic()) + SEARCH_LAG_MS - clock.monotonic()
    if (found || left <= 0) {
      this.#missed.delete(id)
      return found?.id ?? null
    }
    if (!this.#missed.has(id)) this.#missed.set(id, clock.monotonic())
    throw new DeliveryFailed('retry', 'Jira may have made the issue and not found it yet', left, { holds: 'message' })
  }

  /** Brings the issue to what the request is now. */
  async #bring(id: string, task: MessageTask, view: RequestView, signal: AbortSignal): Promise<string> {
    const { summary, paper, cut } = issueOf(view, this.#parts.settings.product, canMove(task))
    const state = stateOf(view)
    const issue = await this.#api.issue(id, signal)
    const mark: IssueMark = { request: view.id, message: task.id, state, cut }
    await this.#api.edit(id, summary, paper, signal)
    if (!sameMark(issue.mark, mark)) await this.#api.setMark(id, mark, signal)
    if (state === 'pending') await this.#bringBack({ ...issue, mark }, signal)
    else await this.#moveTo(id, state, signal)
    this.#counted.delete(id)
    return id
  }

  /** A pending request's issue stands where moves begin; one that was moved is first looked at for what that says. */
  async #bringBack(issue: JiraIssue, signal: AbortSignal): Promise<void> {
    if (!this.#misstates(issue)) return
    const outcome = await this.#asked(issue.id)
    if (outcome.kind === 'done') return
    // Most likely it was counted, and the request waits for others: the vote has its own comment.
    if (outcome.kind === 'ignored') await this.#moveTo(issue.id, 'pending', signal)
    else await this.#undo(issue, outcome, signal)
  }

  async #moveTo(id: string, state: IssueMark['state'], signal: AbortSignal): Promise<void> {
    const status = this.#parts.settings.statuses[state]
    if (await this.#api.moveTo(id, status, signal)) return
    throw new DeliveryFailed(
      'defect',
      `Jira: the workflow has no way into the status ${status} from where the issue is`,
    )
  }

  /** Whether the issue's status says something of the request that is not so. Statuses that say nothing are nobody's business. */
  #misstates({ status, mark }: JiraIssue): boolean {
    const { statuses } = this.#parts.settings
    if (!mark || status === statuses[mark.state]) return false
    return Object.values(statuses).includes(status)
  }

  async receive(callback: RawCallback, fromChat: FromChat, signal: AbortSignal): Promise<CallbackAnswer> {
    this.#fromChat = fromChat
    const id = issueIn(callback)
    if (id === null) return { status: statusOf(await fromChat.take(callback)) }
    // One after the other for an issue: what a vote brings about must not overtake what is done with the move.
    return this.#turns.take(id, () => this.#receive(id, callback, fromChat, signal))
  }

  async #receive(id: string, callback: RawCallback, fromChat: FromChat, signal: AbortSignal): Promise<CallbackAnswer> {
    const outcome = await fromChat.take(callback)
    if (outcome.kind === 'rejected') return { status: statusOf(outcome) }
    try {
      await this.#follow(id, outcome, signal)
      return { status: 200 }
    } catch (error) {
      // Jira calls again; whoever moved it has been refused already, and will be again.
      this.#parts.log.warn({ err: String(error), issue: id }, 'an issue of Jira could not be put back')
      return { status: 503 }
    }
  }

  /** What comes of a move, besides the vote: it stands, or is undone. */
  async #follow(id: string, outcome: ChatOutcome, signal: AbortSignal): Promise<void> {
    if (outcome.kind === 'done') this.#counted.add(id)
    if (outcome.kind === 'done' || outcome.kind === 'rejected') return
    // Whoever may edit an issue can write our mark on it.
    if (outcome.kind === 'ignored' && (outcome.why === NO_ISSUE_OF_OURS || this.#counted.has(id))) return
    const issue = await this.#api.issue(id, signal)
    if (this.#misstates(issue)) await this.#undo(issue, outcome, signal)
  }

  /** The comment first: after a crash in between it is found again and not doubled. */
  async #undo(issue: JiraIssue, outcome: ChatOutcome, signal: AbortSignal): Promise<void> {
    const paper = undoneComment(issue, outcome)
    if ((await this.#api.findComment(issue.id, paper, 0, signal)) === null)
      await this.#api.comment(issue.id, paper, signal)
    await this.#moveTo(issue.id, issue.mark?.state ?? 'pending', signal)
  }

  async #asked(id: string): Promise<ChatOutcome> {
    if (!this.#fromChat) throw new DeliveryFailed('retry', 'moves of issues are not listened to yet', 2000)
    const body = Buffer.from(JSON.stringify({ issue: { id } }))
    const { integration } = this.#parts
    return this.#fromChat.take({ integration, path: 'polled', headers: {}, body, via: 'socket' })
  }

  async listen(fromChat: FromChat, signal: AbortSignal): Promise<void> {
    this.#fromChat = fromChat
    const { settings, clock, log, report } = this.#parts
    const every = settings.events === 'poll' ? durationOf(settings.poll_every) : SWEEP_MS
    let minutes = FIRST_LOOK_MIN
    while (!signal.aborted) {
      const began = clock.monotonic()
      try {
        await this.#look(minutes, signal)
        report(null)
        minutes = Math.ceil((every + clock.monotonic() - began) / 60_000) + OVERLAP_MIN
      } catch (error) {
        if (error instanceof DeliveryFailed && error.kind === 'integration') report(error.message)
        else log.warn({ err: String(error) }, 'Jira could not be asked for moved issues')
        minutes += Math.ceil(every / 60_000)
      }
      await sleep(clock, every, signal).catch(() => {})
    }
  }

  async #look(minutes: number, signal: AbortSignal): Promise<void> {
    const projects = [...new Set(this.#parts.settings.deliver.flatMap((rule) => rule.channels))]
    if (projects.length === 0) return
    const moved = (await this.#api.own(projects, minutes, signal)).filter((issue) => this.#misstates(issue))
    for (const { id } of moved) {
      if (signal.aborted) return
      await this.#turns.take(id, async () => this.#follow(id, await this.#asked(id), signal))
    }
  }

  async check(channels: readonly string[], signal: AbortSignal): Promise<readonly CheckLine[]> {
    const lines: CheckLine[] = []
    const say = async (what: string, work: () => Promise<string | null>): Promise<void> => {
      const problem = await work().catch((error: unknown) => (error instanceof Error ? error.message : String(error)))
      lines.push({ ok: problem === null, text: problem === null ? what : `${what}: ${problem}` })
    }
    await say('the token works', async () => (await this.#api.me(signal), null))
    for (const project of channels)
      await say(`project ${project} has the issue type`, async () => {
        const types = await this.#api.issueTypes(project, signal)
        if (types.has(this.#parts.settings.issue_type)) return null
        return `it has ${[...types].map(([id, name]) => `${id} (${name})`).join(', ')}`
      })
    return lines
  }
}

/** Jira calls again after a 5xx: whoever did it could not be found out. */
function statusOf(outcome: ChatOutcome): number {
  if (outcome.kind !== 'rejected') return 200
  return outcome.why === 'unreadable' ? 503 : 401
}

/** What is decided by link alone has no button to approve, in whatever product. */
const canMove = ({ content }: MessageTask): boolean => content.kind === 'request' && content.buttons.includes('approve')

function stateOf({ state }: RequestView): IssueMark['state'] {
  return state === 'cancelled' || state === 'expired' ? 'closed' : state
}

function sameMark(one: IssueMark | null, { request, message, state, cut }: IssueMark): boolean {
  return one?.request === request && one.message === message && one.state === state && one.cut === cut
}

function undoneComment(issue: JiraIssue, outcome: ChatOutcome): Paper {
  const why = 'why' in outcome ? ` (${outcome.why})` : ''
  const said = 'text' in outcome ? outcome.text : `Nothing more follows from this move${why}.`
  const where =
    issue.mark?.state === 'pending'
      ? 'The issue goes back: the request is still open.'
      : 'The issue goes back to what was decided.'
  const text = { kind: 'text', label: null, text: `${visibleText(said)}\n${where}` } as const
  return outcome.kind === 'open' ? [text, { kind: 'link', text: 'Go on', url: outcome.url }] : [text]
}

function durationOf(text: string): number {
  const parsed = parseDuration(text)
  return parsed.ok ? Math.max(parsed.ms, 1000) : 30_000
}
