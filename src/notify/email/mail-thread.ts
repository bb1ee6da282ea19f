import { createHash } from 'node:crypto'
import type { MessageTask, NoticeView, RequestView } from '../../contract/message.ts'

/**
 * Where a mail stands in its thread. What `deliver` returns names it: `mail1 ROOT STATE SUBJECT`, ROOT being the Message-ID of the
 * thread's first mail without brackets, STATE what the last one told, SUBJECT the thread's: mail programs take a mail with
 * another subject for another thread.
 */
export interface MailPlace {
  /** Without brackets; the same with every attempt, so that a receiver who has it drops the second one */
  readonly messageId: string
  /** null: this mail opens the thread */
  readonly root: string | null
  readonly subject: string
  readonly external: string
}

interface Known {
  readonly root: string
  readonly state: string
  readonly subject: string
}

const SHAPE = /^mail1 (?<root>[A-Za-z0-9.-]+@[A-Za-z0-9.-]+) (?<state>[a-z-]+) (?<subject>.*)$/s

/** What the request's own mail, kept at the newest state, tells anyway: an end, and with it the vote that brought it about. */
function isToldByState({ topic, request }: NoticeView): boolean {
  if (topic === 'request.reviewed') return request !== undefined && request.state !== 'pending'
  return topic === 'request.decided' || topic === 'grant.ended'
}

/** `subject`: of a thread that begins. null: there is nothing to send, because it was told already. */
export function placeOf(task: MessageTask, domain: string, subject: string): MailPlace | null {
  const own = `${hashed(task.onceId)}@${domain}`
  const { content, external, thread } = task
  if (content.kind === 'notice') {
    if (thread !== null && isToldByState(content.view)) return null
    const known = readExternal(thread)
    return place(own, known, { root: own, state: 'told', subject })
  }
  const state = toldState(content.view)
  const known = readExternal(external)
  if (known === null) return place(own, null, { root: own, state, subject })
  if (known.state === state) return null
  const [local = '', host = ''] = known.root.split('@')
  return place(`${local}.${state}@${host}`, known, { ...known, state })
}

function place(messageId: string, thread: Known | null, { root, state, subject }: Known): MailPlace {
  const said = thread === null ? subject : `Re: ${thread.subject}`
  const named = thread ?? { root, subject }
  return {
    messageId,
    root: thread?.root ?? null,
    subject: said,
    external: `mail1 ${named.root} ${state} ${named.subject}`,
  }
}

/** What is worth a mail of its own: votes are notices, or are seen on the page. */
function toldState({ state, grant }: RequestView): string {
  return state === 'approved' && grant?.state === 'ended' ? 'ended' : state
}

function readExternal(external: string | null): Known | null {
  const found = SHAPE.exec(external ?? '')?.groups
  return found ? { root: found['root'] ?? '', state: found['state'] ?? '', subject: found['subject'] ?? '' } : null
}

const hashed = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)
