import { createHash } from 'node:crypto'
import type { MessageTask, RequestView } from '../../contract/message.ts'

/**
 * Where a mail stands in its thread. What `deliver` returns names it: `mail1 ROOT STATE`, ROOT being the Message-ID of the
 * thread's first mail without brackets, STATE what the last one told.
 */
export interface MailPlace {
  /** Without brackets; the same with every attempt, so that a receiver who has it drops the second one */
  readonly messageId: string
  /** null: this mail opens the thread */
  readonly root: string | null
  readonly external: string
}

const MARK = 'mail1'
const SHAPE = /^mail1 (?<root>[A-Za-z0-9.-]+@[A-Za-z0-9.-]+) (?<state>[a-z-]+)$/

/** What the request's own mail, kept at the newest state, tells anyway. */
const TOLD_BY_STATE = new Set(['request.decided', 'grant.ended'])

/** null: there is nothing to send, because the state that was told is still the state. */
export function placeOf(task: MessageTask, domain: string): MailPlace | null {
  if (task.content.kind === 'notice') {
    if (task.thread !== null && TOLD_BY_STATE.has(task.content.view.topic)) return null
    const root = readExternal(task.thread)?.root ?? null
    const messageId = `${hashed(task.onceId)}@${domain}`
    return { messageId, root, external: `${MARK} ${root ?? messageId} told` }
  }
  const state = toldState(task.content.view)
  const before = readExternal(task.external)
  if (before === null) {
    const messageId = `${hashed(task.onceId)}@${domain}`
    return { messageId, root: null, external: `${MARK} ${messageId} ${state}` }
  }
  if (before.state === state) return null
  const [local] = before.root.split('@')
  return { messageId: `${local}.${state}@${domain}`, root: before.root, external: `${MARK} ${before.root} ${state}` }
}

/** What is worth a mail of its own: votes are notices, or are seen on the page. */
export function toldState({ state, grant }: RequestView): string {
  return state === 'approved' && grant?.state === 'ended' ? 'ended' : state
}

function readExternal(external: string | null): { root: string; state: string } | null {
  const found = SHAPE.exec(external ?? '')?.groups
  return found ? { root: found['root'] ?? '', state: found['state'] ?? '' } : null
}

const hashed = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)
