import type { Tx } from '../../audit/deed.ts'
import type { MessageTask, NoticeView } from '../../contract/message.ts'
import type { ClaimAnswer, ClaimedMessage, ClaimOrder, LostMessage } from '../../contract/notify-plane.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import type { IntegrationsTable, MessagesTable } from '../../foundation/database/tables.ts'
import { someRandomBytes } from '../../foundation/ids.ts'
import type { Reader } from '../directory.ts'
import { shownMark } from '../from-chat/messages-of.ts'
import { buttonHash } from '../from-chat/secret-text.ts'
import { integrationRows } from '../integrations/integrations.ts'
import { chatApprovalOf, chatChannelsOf } from './chat-options.ts'
import { leaseMessages, type Leased } from './lease-messages.ts'
import type { PlaneParts } from './plane-parts.ts'
import { buttonsFor, readShown, stillAsked, withoutReasons, type Shown } from './request-view.ts'
import { deliveryOf } from './routes.ts'

/** What a claimed message turned out to be. */
type Made =
  | {
      readonly kind: 'task'
      readonly claimed: ClaimedMessage
      readonly row: MessagesTable
      readonly shown: Shown | null
    }
  | { readonly kind: 'drop'; readonly row: MessagesTable; readonly why: string }
  | { readonly kind: 'later'; readonly row: Leased; readonly dueAt: number }

/**
 * Messages that are due, each with the newest state of what it shows, read after they were claimed. The random id that the
 * buttons carry is stored before anything is sent, with the digests and terms that are shown.
 */
export async function claimMessages(parts: PlaneParts, order: ClaimOrder): Promise<ClaimAnswer> {
  const { database } = parts
  const integrations = new Map((await integrationRows(database.reads)).map((row) => [row.name, row]))
  const rooms = order.room.flatMap((room) => {
    const row = integrations.get(room.integration)
    return row && row.enabled === 1 && row.broken_why === null && room.most > 0 ? [{ row, room }] : []
  })
  if (rooms.length === 0) return { items: [], due: false, nextDueAt: null }
  const ids = rooms.map(({ row }) => row.id)
  const outlook = await lookAhead(database.reads, ids, parts.clock.now())
  if (!outlook.due) return { items: [], ...outlook }
  const claimed = await database.transact(async (tx) => {
    const now = await database.storeNow(tx, parts.clock)
    const held = new Set(await heldBack(tx, ids, now))
    const rows: Leased[] = []
    for (const { row, room } of rooms) {
      const terms = { integrationId: row.id, room, now, leaseMs: order.leaseMs }
      if (!held.has(row.id)) rows.push(...(await leaseMessages(tx, terms)))
    }
    return { rows, now }
  })
  const made = await makeTasks(parts, claimed.rows, [...integrations.values()], claimed.now)
  if (made.length > 0) await database.transact((tx) => keepMade(tx, made, claimed.now))
  const items = made.flatMap((each) => (each.kind === 'task' ? [each.claimed] : []))
  return { items, ...outlook }
}

interface Outlook {
  readonly due: boolean
  readonly nextDueAt: number | null
}

async function lookAhead(reads: Reader, ids: readonly string[], now: number): Promise<Outlook> {
  const due = reads.selectFrom('messages').where('state', '=', 'due').where('integration_id', 'in', ids)
  const first = await due.select('due_at').where('due_at', '<=', now).orderBy('due_at').limit(1).executeTakeFirst()
  const next = await due.select('due_at').where('due_at', '>', now).orderBy('due_at').limit(1).executeTakeFirst()
  const pace = await reads
    .selectFrom('integration_paces')
    .select('not_before')
    .where('integration_id', 'in', ids)
    .where('not_before', '>', now)
    .orderBy('not_before')
    .limit(1)
    .executeTakeFirst()
  const instants = [next?.due_at, pace?.not_before].filter((at) => at !== undefined)
  return { due: first !== undefined, nextDueAt: instants.length === 0 ? null : Math.min(...instants) }
}

/** Those whose vendor said to wait. */
async function heldBack(tx: Tx, ids: readonly string[], now: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('integration_paces')
    .select('integration_id')
    .where('integration_id', 'in', ids)
    .where('not_before', '>', now)
    .execute()
  return rows.map((row) => row.integration_id)
}

async function makeTasks(
  parts: PlaneParts,
  rows: readonly Leased[],
  integrations: readonly IntegrationsTable[],
  now: number,
): Promise<Made[]> {
  const { reads } = parts.database
  const cases = new Map<string, Promise<Shown | null>>()
  const shownOf = (id: string): Promise<Shown | null> => {
    const known = cases.get(id) ?? readShown(reads, id, parts.publicUrl(), now)
    cases.set(id, known)
    return known
  }
  const made: Made[] = []
  for (const row of rows) {
    const integration = integrations.find(({ id }) => id === row.integration_id)
    if (!integration) {
      made.push({ kind: 'drop', row, why: 'the integration was removed' })
      continue
    }
    const shown = row.request_id === null ? null : await shownOf(row.request_id)
    made.push(await makeTask(reads, row, integration, shown, now))
  }
  return made
}

async function makeTask(
  reads: Reader,
  row: Leased,
  integration: IntegrationsTable,
  shown: Shown | null,
  now: number,
): Promise<Made> {
  const drop = (why: string): Made => ({ kind: 'drop', row, why })
  const person = row.user_id === null ? null : await personOf(reads, row.user_id, integration.id)
  if (row.user_id !== null && !person) return drop('the person is not there any more')
  if (row.request_id !== null && !shown) return drop('the request is not there any more')
  const thread = row.thread_of === null ? null : await threadOf(reads, row.thread_of)
  const about = {
    id: row.id,
    integration: integration.name,
    audience: row.audience,
    destination: { channel: row.channel, person },
    external: row.external,
    thread: thread?.external ?? null,
    buttonId: someRandomBytes(16).toString('hex'),
    shown: shown ? shownMark(boundTo(shown)) : '',
    onceId: row.once_id,
    channels: shown ? chatChannelsOf(shown.loaded) : ('any' as const),
    attempt: row.attempts,
  }
  if (row.kind === 'notice') {
    const why = uselessNotice(row, thread, shown, now)
    if (why !== null) return drop(why)
    const said = JSON.parse(row.notice_json ?? '{}') as NoticeView
    const view = shown ? { ...said, request: { state: shown.view.state, needed: shown.view.needed } } : said
    return taskOf(row, { ...about, content: { kind: 'notice', view } }, null, now, null)
  }
  if (!shown) return drop('it is about nothing')
  const fate = fateOf(row, shown, now)
  // What is of no use any more must not stay with buttons where an attempt may have left it.
  const useless = typeof fate === 'string' ? fate : null
  if (useless !== null && row.unknownBefore === null) return drop(useless)
  if (fate !== null && typeof fate !== 'string') return { kind: 'later', row, dueAt: fate.until }
  const asked = stillAsked(shown.loaded, now)
  const mayReview = row.user_id === null || asked.some(({ id }) => id === row.user_id)
  const chatApproval = chatApprovalOf(shown.loaded)
  const buttons = buttonsFor(shown.view, { audience: row.audience, chatApproval, mayReview })
  const view = deliveryOf(integration).omit_reason ? withoutReasons(shown.view) : shown.view
  return taskOf(row, { ...about, content: { kind: 'request', view, buttons } }, shown, now, useless)
}

/** `useless`: why it is sent only if it is there already; null: it is sent */
function taskOf(row: Leased, task: MessageTask, shown: Shown | null, now: number, useless: string | null): Made {
  const version = shown?.loaded.request.version ?? row.desired_version
  const about = { claimedAt: now, lost: lostOf(row, useless) }
  return { kind: 'task', row, shown, claimed: { task, lease: row.leased_by ?? '', version, ...about } }
}

function lostOf(row: Leased, useless: string | null): LostMessage | null {
  if (row.unknownBefore === null) return null
  if (useless !== null) return { since: row.unknownBefore, absent: 'drop', blind: 'drop', why: useless }
  // In front of many it is said once: the message above it shows the same. One person rather hears it twice than never.
  const blind = row.kind === 'notice' && row.audience === 'channel' ? 'drop' : 'send'
  return { since: row.unknownBefore, absent: 'send', blind, why: 'nobody knows whether it was said' }
}

/** Null: send it. A text: of no use any more, and why. */
function fateOf(row: MessagesTable, { loaded, request }: Shown, now: number): string | { until: number } | null {
  if (row.external !== null) return null
  const forVoters = row.audience === 'reviewer' || (row.audience === 'person' && request.kind !== 'break_glass')
  if (forVoters && request.state !== 'pending') return 'it was decided before they were told'
  if (row.audience === 'reviewer' && !stillAsked(loaded, now).some(({ id }) => id === row.user_id))
    return 'they have answered, or may not review it any more'
  if (row.after_ms === null) return null
  const answers = loaded.votes.filter((vote) => vote.reviewer_kind === 'user').map((vote) => vote.created_at)
  const until = Math.max(request.createdAt, ...answers) + row.after_ms
  return now < until ? { until } : null
}

interface Thread {
  readonly external: string | null
  /** When it was first delivered; null: it is not there */
  readonly createdAt: number | null
}

async function threadOf(reads: Reader, id: string): Promise<Thread> {
  const row = await reads.selectFrom('messages').select('external').where('id', '=', id).executeTakeFirst()
  const first = await reads
    .selectFrom('message_buttons')
    .select('created_at')
    .where('message_id', '=', id)
    .orderBy('created_at')
    .limit(1)
    .executeTakeFirst()
  return { external: row?.external ?? null, createdAt: first?.created_at ?? null }
}

function uselessNotice(row: Leased, thread: Thread | null, shown: Shown | null, now: number): string | null {
  if (row.expires_at !== null && now >= row.expires_at) return 'it was not said in time'
  if (thread && thread.external === null) return 'the message that it belongs to could not be sent'
  // The requester is told each step; a channel's message that came after the step shows it by itself.
  if (thread && row.audience === 'channel' && (thread.createdAt ?? 0) > row.created_at)
    return 'the message that it belongs to shows it already'
  const { topic } = JSON.parse(row.notice_json ?? '{}') as NoticeView
  if (topic === 'request.escalated' && shown?.request.state !== 'pending') return 'the request is decided'
  if (topic === 'grant.ending' && shown?.request.grant?.state === 'ended') return 'the access has ended'
  return null
}

async function personOf(
  reads: Reader,
  userId: string,
  integrationId: string,
): Promise<MessageTask['destination']['person']> {
  const user = await reads
    .selectFrom('users')
    .select(['id', 'name', 'email', 'disabled'])
    .where('id', '=', userId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!user || user.disabled === 1) return null
  const account = await reads
    .selectFrom('chat_accounts')
    .select('external_id')
    .where('integration_id', '=', integrationId)
    .where('user_id', '=', userId)
    .where('ended_at', 'is', null)
    .orderBy('linked_at', 'desc')
    .executeTakeFirst()
  return { id: user.id, name: user.name, email: user.email, account: account?.external_id ?? null }
}

/** Before anything is sent: what a button that comes back will mean. */
async function keepMade(tx: Tx, made: readonly Made[], now: number): Promise<void> {
  for (const each of made) {
    const still = tx.updateTable('messages').where('id', '=', each.row.id).where('leased_by', '=', each.row.leased_by)
    const free = { lease_until: null, leased_by: null, changed_at: now }
    if (each.kind === 'drop') await still.set({ ...free, state: 'dropped', failure: each.why }).execute()
    else if (each.kind === 'later') {
      const untried = { due_at: each.dueAt, attempts: 0, unknown_since: each.row.unknownBefore }
      await still.set({ ...free, ...untried }).execute()
    } else if (each.shown) {
      const account = each.claimed.task.destination.person?.account ?? null
      await still.set({ content_hash: each.shown.contentHash, account }).execute()
      await keepButtons(tx, each.claimed.task, each.row, each.shown, now)
    }
  }
}

/** What a vote about it is a vote for. */
const boundTo = ({ request }: Shown) => ({
  request_digest: request.requestDigest,
  facts_digest: request.factsDigest,
  shown_json: JSON.stringify({ durationMs: request.grantedDuration, startAt: request.grantedStart }),
})

async function keepButtons(tx: Tx, task: MessageTask, row: MessagesTable, shown: Shown, now: number): Promise<void> {
  if (task.content.kind !== 'request') return
  const { request } = shown
  await insertRow(tx, 'message_buttons', {
    button_hash: buttonHash(task.buttonId),
    message_id: row.id,
    integration_id: row.integration_id,
    request_id: request.id,
    version: request.version,
    buttons_json: JSON.stringify(task.content.buttons),
    ...boundTo(shown),
    pressed_external: null,
    created_at: now,
  })
}
