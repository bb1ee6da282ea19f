// A grant that runs out takes the open shell with it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { granted, openShell } from '../support/granted.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account

beforeAll(async () => {
  sallyport = await startSallyport()
  await sallyport.startNode('db-box', { service: 'database' })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'] } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await Promise.all([sallyport.user('alice', ['engineer']), sallyport.user('bob', ['reviewer'])])
  ;[alice, bob] = await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob')])
})
afterAll(() => sallyport?.stop())

test('a grant of a few seconds ends the open shell, and its terminal says why', async () => {
  const request = await granted(alice, 'dba', [bob], '--duration=20s')
  const { terminal, pid } = await openShell(alice, 'db-box')
  expect(await terminal.exitStatus({ within: 60_000 })).toBe(255)
  await terminal.shows(/^your access \(dba\) has expired$/m)
  await until('the shell on the target to go', () => !isAlive(pid))

  const [start] = await sallyport.events({ type: 'grant.start', request })
  const over = await until('the end of the grant to be stored', async () => {
    const [end] = await sallyport.events({ type: 'grant.end', request })
    return end
  })
  expect(over.time - (start?.time ?? 0)).toBeGreaterThanOrEqual(20_000)
  const ended = await sallyport.events({ type: 'session.end', request })
  expect(ended).toHaveLength(1)
  // The relay's own timer and the daemon's check end it at the same instant; each has its words for it.
  expect(ended[0]?.details?.['text']).toMatch(/has expired/)

  const again = await alice.ssh('db-box', 'true')
  expect(again.code).toBe(255)
  expect(again.stderr).toContain('sally request create --roles=dba')
})
