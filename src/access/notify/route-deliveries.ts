import { sql } from 'kysely'
import type { Tx } from '../../audit/deed.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import type { MessagesTable, OutboxTable } from '../../foundation/database/tables.ts'
import { newId, someRandomBytes } from '../../foundation/ids.ts'
import { loadDirectory, type Directory } from '../directory.ts'
import { integrationRows } from '../integrations/integrations.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { opensAt } from '../decide/rights.ts'
import { stateAt } from '../show/present-request.ts'
import type { StoredRequest } from '../stored-request.ts'
import type { PlaneParts } from './plane-parts.ts'
import { planMessages, type Occasion, type RoutedRequest, type Route, type Wanted } from './plan-messages.ts'
import { stillAsked } from './request-view.ts'
import { readRoutes } from './routes.ts'
import { lineOf } from './tell-lines.ts'

/** Deliveries of one transaction */
const TOGETHER = 50

/** Makes messages of what waits in the outbox, in the transaction that marks it. How many deliveries it took. */
export async function routeDeliveries({ database, clock, log, publicUrl }: PlaneParts): Promise<number> {
  const integrations = (await integrationRows(database.reads)).filter(({ enabled }) => enabled === 1)
  if (integrations.length === 0 || !(await somethingWaits(database.reads))) return 0
  return await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    await skipOlder(tx, Math.min(...integrations.map((row) => row.created_at)), now)
    const rows = await tx
      .selectFrom('outbox')
      .selectAll()
      .where('routed_at', 'is', null)
      .orderBy('position')
      .limit(TOGETHER)
      .execute()
    if (rows.length === 0) return 0
    const directory = await loadDirectory(tx, now)
    const routes = await readRoutes(tx, await integrationRows(tx), directory)
    for (const row of rows) {
      try {
        await route(tx, row, { directory, routes, now, publicUrl: publicUrl() })
      } catch (error) {
        // A delivery that we cannot read must not hold up those behind it; what the store cannot do fails again below.
        if (!(error instanceof TypeError || error instanceof SyntaxError || error instanceof RangeError)) throw error
        log.error({ err: error, delivery: row.id, topic: row.topic }, 'a delivery could not be routed')
      }
    }
    await tx
      .updateTable('outbox')
      .set({ routed_at: now })
      .where(
        'id',
        'in',
        rows.map(({ id }) => id),
      )
      .execute()
    return rows.length
  })
}

async function somethingWaits(reads: PlaneParts['database']['reads']): Promise<boolean> {
  const row = await reads.selectFrom('outbox').select('id').where('routed_at', 'is', null).limit(1).executeTakeFirst()
  return row !== undefined
}

/** Nobody is told today what happened before there was a way to tell. */
async function skipOlder(tx: Tx, before: number, now: number): Promise<void> {
  await tx
    .updateTable('outbox')
    .set({ routed_at: now })
    .where('routed_at', 'is', null)
    .where('created_at', '<', before)
    .execute()
}

interface Around {
  readonly directory: Directory
  readonly routes: readonly Route[]
  readonly now: number
  readonly publicUrl: string
}

async function route(tx: Tx, row: OutboxTable, { directory, routes, now, publicUrl }: Around): Promise<void> {
  const body = JSON.parse(row.body_json) as Readonly<Record<string, unknown>>
  const requestId = typeof body['request'] === 'string' ? body['request'] : null
  const loaded = requestId === null ? null : await loadCase(tx, requestId, now, directory)
  if (requestId !== null && !loaded) return
  const wanted = planMessages(occasionOf(row, body, directory), loaded && routedOf(loaded, now), routes)
  const version = loaded?.request.version ?? 1
  if (loaded) await raise(tx, loaded.request.id, version, now)
  const grant = loaded && movedBy(row.topic, loaded)
  if (grant) await showAgain(tx, grant, loaded.request, now)
  const url = requestId === null ? null : `${publicUrl}/r/${requestId}`
  for (const each of wanted) {
    const into = { requestId, version, now }
    if (each.kind === 'request') await addMessage(tx, each, into)
    else {
      const omitReason = routes.find(({ id }) => id === each.integrationId)?.omitReason ?? true
      const text = lineOf(row.topic, body, omitReason)
      if (text !== null) await addNotice(tx, each, { topic: row.topic, text, url, at: row.created_at }, into)
    }
  }
}

function occasionOf(row: OutboxTable, body: Readonly<Record<string, unknown>>, directory: Directory): Occasion {
  const names = Array.isArray(body['to']) ? body['to'].filter((name) => typeof name === 'string') : []
  const wanted = new Set<string>(names)
  const to = wanted.size === 0 ? [] : [...directory.members.values()].filter(({ name }) => wanted.has(name))
  const until = row.topic === 'grant.ending' && typeof body['endsAt'] === 'number' ? body['endsAt'] : null
  return { topic: row.topic, createdAt: row.created_at, to: to.map(({ id }) => id), until }
}

function routedOf(loaded: RequestCase, now: number): RoutedRequest {
  const { request, directory } = loaded
  const pending = stateAt(request, now) === 'pending'
  const asked = pending ? stillAsked(loaded, now) : []
  return {
    id: request.id,
    roles: request.roles.map(({ name }) => name),
    requesterId: request.user_id,
    createdAt: request.created_at,
    pendingUntil: request.pending_until,
    pending,
    reviewers: asked.map(({ id, standsIn }) => {
      const member = directory.members.get(id)
      // Who stands in for somebody is told when that one would be: at once, since a window may differ from role to role.
      const from = standsIn || !member ? now : (opensAt(member, loaded, now) ?? now)
      return { id, from: Math.max(now, from) }
    }),
  }
}

/** All messages about it have to be shown anew. One that waits for its time, or is on its way, keeps when it is looked at. */
export async function raise(tx: Tx, requestId: string, version: number, now: number): Promise<void> {
  const about = tx.updateTable('messages').where('request_id', '=', requestId).where('kind', '=', 'request')
  await about
    .set({ desired_version: version, changed_at: now })
    .where('state', '!=', 'settled')
    .where('desired_version', '<', version)
    .execute()
  await about
    .set({ desired_version: version, changed_at: now, state: 'due', due_at: now })
    .where('state', '=', 'settled')
    .where('rendered_version', '<', version)
    .execute()
}

/** The grant whose end a delivery tells of. */
function movedBy(topic: string, { request, grant }: RequestCase): string | null {
  if (topic === 'grant.ended') return grant?.id ?? null
  return topic === 'request.decided' ? request.extends_grant : null
}

/** An extension moves the end of a grant, which shows where the grant was asked for and at every extension of it. */
async function showAgain(tx: Tx, grantId: string, { id, user_id }: StoredRequest, now: number): Promise<void> {
  await tx
    .updateTable('messages')
    .set({ state: 'due', due_at: now, changed_at: now })
    .where('request_id', 'in', ({ selectFrom }) =>
      selectFrom('access_requests as r')
        .leftJoin('grants as g', 'g.request_id', 'r.id')
        .select('r.id')
        .where('r.user_id', '=', user_id)
        .where('r.id', '!=', id)
        .where(({ or, eb }) => or([eb('r.extends_grant', '=', grantId), eb('g.id', '=', grantId)])),
    )
    .where('kind', '=', sql.lit('request'))
    .where('state', '=', sql.lit('settled'))
    .execute()
}

interface Into {
  readonly requestId: string | null
  readonly version: number
  readonly now: number
}

export const destinationOf = ({ channel, userId }: Pick<Wanted, 'channel' | 'userId'>): string =>
  channel === null ? `user:${userId ?? ''}` : `channel:${channel}`

async function addMessage(tx: Tx, wanted: Wanted, into: Into): Promise<void> {
  const { requestId } = into
  if (requestId === null) return
  const there = await findMessage(tx, wanted, requestId)
  if (there) {
    // Somebody is to be told now whose turn would have come later.
    if (there.after_ms !== null && wanted.afterMs === null && there.state === 'due')
      await tx.updateTable('messages').set({ after_ms: null, due_at: into.now }).where('id', '=', there.id).execute()
    return
  }
  await insertRow(tx, 'messages', newMessage(wanted, into))
}

async function addNotice(
  tx: Tx,
  wanted: Wanted,
  notice: { topic: string; text: string; url: string | null; at: number },
  into: Into,
): Promise<void> {
  const thread = wanted.threaded && into.requestId !== null ? await findMessage(tx, wanted, into.requestId) : undefined
  // A message that was not there yet shows by itself what would be said.
  if (wanted.threaded && (!thread || thread.state === 'dropped')) return
  const row = newMessage(wanted, into)
  await insertRow(tx, 'messages', { ...row, notice_json: JSON.stringify(notice), thread_of: thread?.id ?? null })
}

async function findMessage(tx: Tx, wanted: Wanted, requestId: string): Promise<MessagesTable | undefined> {
  // Who could vote is told as a reviewer, whatever else they are.
  const audiences: Wanted['audience'][] = wanted.audience === 'person' ? ['reviewer', 'person'] : [wanted.audience]
  return await tx
    .selectFrom('messages')
    .selectAll()
    .where('kind', '=', sql.lit('request'))
    .where('request_id', '=', requestId)
    .where('integration_id', '=', wanted.integrationId)
    .where('audience', 'in', audiences)
    .where('destination', '=', destinationOf(wanted))
    .executeTakeFirst()
}

export function newMessage(wanted: Wanted, { requestId, version, now }: Into): MessagesTable {
  return {
    id: newId('message', now),
    integration_id: wanted.integrationId,
    kind: wanted.kind,
    request_id: requestId,
    audience: wanted.audience,
    destination: destinationOf(wanted),
    channel: wanted.channel,
    user_id: wanted.userId,
    account: null,
    notice_json: null,
    thread_of: null,
    once_id: someRandomBytes(16).toString('hex'),
    external: null,
    desired_version: version,
    rendered_version: 0,
    state: 'due',
    attempts: 0,
    due_at: wanted.dueAt,
    lease_until: null,
    leased_by: null,
    unknown_since: null,
    failure_kind: null,
    failure: null,
    failed_at: null,
    created_at: now,
    changed_at: now,
    expires_at: wanted.expiresAt,
    after_ms: wanted.afterMs,
    content_hash: null,
  }
}
