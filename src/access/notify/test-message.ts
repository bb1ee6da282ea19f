import { confirmed } from '../../audit/confirmation.ts'
import type { DeedLog, Tx } from '../../audit/deed.ts'
import type { TestMessage } from '../../contract/integration-status.ts'
import type { NoticeView } from '../../contract/message.ts'
import { sleep, type Clock } from '../../foundation/clock.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import type { IntegrationsTable, MessagesTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import type { Doer } from '../../identity/doer.ts'
import { loadDirectory, type Reader } from '../directory.ts'
import { integrationNamed } from './integration-status.ts'
import type { Wanted } from './plan-messages.ts'
import { newMessage } from './route-deliveries.ts'
import { deliveryOf, readRoutes } from './routes.ts'

/** Said by then or not at all: a test that arrives later puzzles whoever reads it */
const GOOD_MS = 600_000
const MOST_CHANNELS = 20

export interface TestParts {
  readonly reads: Reader
  readonly deeds: DeedLog
  readonly clock: Clock
}

/** One channel, one person, or (neither) all channels that the document names. */
export interface TestTarget {
  readonly channel?: string | undefined
  readonly user?: string | undefined
}

/**
 * Puts a line that says it is a test on its way, by the engine like any other. What is waited for is asked of `testMessages`.
 * Errors: Refused('not_found' | 'not_allowed' | 'malformed').
 */
export async function sendTest(
  { reads, deeds, clock }: TestParts,
  doer: Doer,
  name: string,
  target: TestTarget,
): Promise<readonly string[]> {
  const integration = await integrationNamed(reads, name)
  refuseUnsendable(integration)
  return await deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const wanted = await wantedOf(tx, integration, target, clock.now())
      const rows = wanted.map((each) => rowOf(each, noticeOf(name, doer.actor.name, now), now))
      for (const row of rows) await insertRow(tx, 'messages', row)
      const details = { integration: integration.id, name, to: rows.map(({ destination }) => destination) }
      const event = { type: 'integration.test', actor: doer.actor, login: doer.loginId, outcome: 'success' } as const
      return { result: rows.map(({ id }) => id), events: [{ ...event, details }] }
    }),
  )
}

function refuseUnsendable({ name, enabled, broken_why: broken }: IntegrationsTable): void {
  if (enabled !== 1)
    throw new Refused('not_allowed', `${name} is switched off`, `set enabled: true: sallyctl edit integration/${name}`)
  if (broken !== null)
    throw new Refused(
      'not_allowed',
      `${name} is broken: ${broken}`,
      `mend it, then: sallyctl integration retry ${name}`,
    )
}

async function wantedOf(
  tx: Tx,
  integration: IntegrationsTable,
  { channel, user }: TestTarget,
  now: number,
): Promise<readonly Wanted[]> {
  if (channel !== undefined && user !== undefined)
    throw new Refused('malformed', 'a test goes to a channel or to a person', 'leave out one of the two')
  if (user !== undefined) return [await toPerson(tx, integration, user, now)]
  const named = channel === undefined ? channelsOf(integration) : [channel]
  if (named.length === 0)
    throw new Refused(
      'malformed',
      `${integration.name} names no channels`,
      `say where: sallyctl integration test ${integration.name} --user=NAME`,
    )
  return named.slice(0, MOST_CHANNELS).map((each) => lineTo(integration, now, { channel: each, userId: null }))
}

/** A webhook has one address, whatever it calls its channels. */
function channelsOf(integration: IntegrationsTable): readonly string[] {
  const channels = new Set(deliveryOf(integration).deliver.flatMap((rule) => rule.channels))
  return channels.size === 0 && integration.vendor === 'webhook' ? ['default'] : [...channels]
}

async function toPerson(tx: Tx, integration: IntegrationsTable, user: string, now: number): Promise<Wanted> {
  const directory = await loadDirectory(tx, now)
  const member = [...directory.members.values()].find(({ name }) => name === user)
  if (!member) throw new Refused('not_found', `there is no user "${user}"`, 'run: sallyctl users ls')
  const [route] = await readRoutes(tx, [integration], directory)
  if (route?.reaches(member.id) !== true)
    throw new Refused(
      'not_allowed',
      `${integration.name} does not reach ${user}`,
      'they need an account that is linked there, or a mail address; tickets, webhooks and Teams know channels alone',
    )
  return lineTo(integration, now, { channel: null, userId: member.id })
}

function lineTo(integration: IntegrationsTable, now: number, where: Pick<Wanted, 'channel' | 'userId'>): Wanted {
  const audience = where.channel === null ? 'person' : 'channel'
  const about = { integrationId: integration.id, kind: 'notice', audience, ...where } as const
  return { ...about, dueAt: now, afterMs: null, threaded: false, expiresAt: now + GOOD_MS }
}

const noticeOf = (name: string, by: string, now: number): NoticeView => ({
  topic: 'integration.test',
  text: `Test message of Sallyport, sent by ${by} through the integration ${name}. It works; there is nothing to do.`,
  url: null,
  at: now,
})

const rowOf = (wanted: Wanted, notice: NoticeView, now: number): MessagesTable => ({
  ...newMessage(wanted, { requestId: null, version: 1, now }),
  id: newId('message', now),
  notice_json: JSON.stringify(notice),
})

const LOOK_MS = 100

/** How test messages stand, as soon as each has an outcome, and at the latest after `patienceMs`. */
export async function testOutcomes(
  { reads, clock }: Pick<TestParts, 'reads' | 'clock'>,
  ids: readonly string[],
  patienceMs: number,
  signal: AbortSignal,
): Promise<TestMessage[]> {
  const until = clock.monotonic() + patienceMs
  for (;;) {
    const rows = await reads.selectFrom('messages').selectAll().where('id', 'in', ids).orderBy('id').execute()
    const waiting = rows.some(({ state, failure }) => state === 'due' && failure === null)
    if (!waiting || clock.monotonic() >= until || signal.aborted)
      return await Promise.all(rows.map((row) => seen(reads, row)))
    await sleep(clock, LOOK_MS, signal).catch(() => {})
  }
}

async function seen(reads: Reader, row: MessagesTable): Promise<TestMessage> {
  const user =
    row.user_id === null
      ? undefined
      : await reads.selectFrom('users').select('name').where('id', '=', row.user_id).executeTakeFirst()
  const outcome = row.state === 'settled' ? 'delivered' : row.state === 'due' ? 'waiting' : 'failed'
  return { message: row.id, destination: user ? `user:${user.name}` : row.destination, outcome, why: row.failure }
}
