// Indexes that hold only what lives are of use only to a statement that says so in its text: SQLite does not look at parameters.
// Each promise runs the real code, takes the statements that it ran and asks the store how it answers them.
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openGrants } from '../../src/http-api/logins.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { AccessWorld, callerNamed } from '../support/access-world.ts'

const HOUR = 3_600_000

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await world.role('engineer', { allow: { request: { roles: ['dba'], break_glass: { roles: ['dba'] } } } })
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.user('alice', { roles: ['engineer'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(async () => {
  vi.restoreAllMocks()
  await world.close()
})

type Plans = (table: string, matching: RegExp) => string[]

/** Of the statements with which `work` reads a table: how the store answers those that match, one line for each. */
async function plansOf(work: () => Promise<unknown>): Promise<Plans> {
  const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare')
  await work()
  const statements = [...new Set(prepared.mock.calls.map(([text]) => text))]
  prepared.mockRestore()
  return (table, matching) => {
    using file = new DatabaseSync(world.database.path, { readOnly: true })
    return statements
      .filter((text) => text.includes(`from "${table}"`) && matching.test(text))
      .map((text) => file.prepare(`explain query plan ${text}`).all())
      .map((steps) => steps.map(({ detail }) => String(detail)).join('; '))
  }
}

const alice = callerNamed('alice')
const granted = async (): Promise<string> => {
  const { id } = await world.ask('alice', ['dba'])
  await world.approve('bob', id)
  return id
}

test('a snapshot is loaded from the grants, login sessions and locks that live, not from all that ever were', async () => {
  const plans = await plansOf(() => Snapshot.load(world.database.reads))
  expect(plans('grants', /"state"/)).toEqual([expect.stringMatching(/USING .*INDEX grants_live/)])
  expect(plans('login_sessions', /"ended_at" is null/)).toEqual([
    expect.stringMatching(/USING .*INDEX login_sessions_live/),
  ])
  expect(plans('locks', /"removed_at" is null/)).toEqual([expect.stringMatching(/USING .*INDEX locks_target/)])
})

test('what a user is shown of own grants comes from those that live', async () => {
  await granted()
  const plans = await plansOf(() => openGrants(world.database, 'usr_alice', 'alice', world.clock.now()))
  expect(plans('grants', /"state"/)).toEqual([expect.stringMatching(/USING INDEX grants_live_of \(user_id=\?\)$/)])
})

test('who takes access in an emergency is looked up among what lives and what nobody has looked at', async () => {
  const plans = await plansOf(() =>
    world.requests.breakGlass(alice, { roles: ['dba'], reason: 'down', durationMs: HOUR, confirm: 'dba' }),
  )
  expect(plans('grants', /"kind"/)).toEqual([
    expect.stringMatching(/USING INDEX grants_live_of \(user_id=\? AND ends_at>\?\)/),
  ])
  expect(plans('access_requests', /"settled_at" is null/)).toEqual([
    expect.stringMatching(/USING .*INDEX access_requests_one_break_glass \(user_id=\?\)/),
  ])
})

test('the extension that waits is found by its grant among what is pending', async () => {
  const id = await granted()
  const plans = await plansOf(() =>
    world.requests.extend(alice, id, { durationMs: HOUR, reason: 'more', reviewers: [], pendingForMs: null }),
  )
  expect(plans('access_requests', /"extends_grant" = .* and "state" = /)).toEqual([
    expect.stringMatching(/USING INDEX access_requests_extension \(extends_grant=\?\)/),
  ])
})
