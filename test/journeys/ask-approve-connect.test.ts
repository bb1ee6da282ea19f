// The main story, as its people type it: alice asks, bob and carol review, db-box is a stock sshd. The steps build on each other.
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openShell, type Shell } from '../support/granted.ts'
import type { RunningProgram } from '../support/run.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account
let carol: Account
let waiting: RunningProgram
let request = ''
let shell: Shell

beforeAll(async () => {
  sallyport = await startSallyport()
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', {
    request: {
      roles: ['dba'],
      max_duration: '4h',
      reason: { mode: 'required' },
      thresholds: [{ name: 'two of the database team', approve: 2, deny: 1 }],
    },
  })
  await role('dba-reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['engineer', 'dba-reviewer'])
  await sallyport.user('carol', ['engineer', 'dba-reviewer'])
  ;[alice, bob, carol] = (await Promise.all(['alice', 'bob', 'carol'].map((name) => sallyport.signIn(name)))) as [
    Account,
    Account,
    Account,
  ]
})
afterAll(() => sallyport?.stop())

const whatSshIsTold = (): Record<string, string> =>
  Object.fromEntries(
    ['id', 'id.pub', 'id-cert.pub', 'known_hosts'].map((file) => [file, stampOf(join(alice.home, file))]),
  )

const stampOf = (path: string): string => `${statSync(path).mtimeMs} ${readFileSync(path, 'utf8')}`

test('1: ssh db-box is refused; the terminal names the role that would help and the command that asks for it', async () => {
  const terminal = await alice.terminal('ssh', 'db-box')
  expect(await terminal.exitStatus()).toBe(255)
  const shown = await terminal.history()
  expect(shown).toContain('sallyport: alice may not use db-box')
  expect(shown).toContain(`This role would help: dba (${sallyport.login}; up to 4h)`)
  expect(shown).toContain('sally request create --roles=dba --reason="why you need it" --duration=1h')
})

test('2: alice asks, is shown the request, and waits', async () => {
  const words = ['--roles=dba', '--reason=ticket #1234', '--duration=1h']
  waiting = alice.start('sally', 'request', 'create', ...words)
  await waiting.prints(/^Seeking request approval\.\.\.$/m)
  request = /\breq_[0-9a-f-]{36}\b/.exec(waiting.stdout())?.[0] ?? ''
  expect(waiting.stdout()).toContain('ticket #1234')
  expect(request).not.toBe('')
  // The same, asked again, is the same request.
  const again = await alice.sally('request', 'create', ...words, '--nowait', '--format=json')
  expect(again.stdout).toContain(request)
})

test('3: bob and carol are told, and see it; nobody approves a request of their own; one approval of two opens nothing', async () => {
  const { items } = await sallyport.api.listDeliveries({})
  const told = JSON.stringify(items.filter((delivery) => JSON.stringify(delivery).includes(request)))
  expect(told).toContain('bob')
  expect(told).toContain('carol')

  const own = await alice.sally('request', 'review', request, '--approve', '--reason=it is urgent')
  expect(own.code).toBe(6)
  expect(own.stderr).toMatch(/own/)
  const admin = await sallyport.admin('request', 'approve', request)
  expect(admin.code).not.toBe(0)

  const list = await bob.sally('request', 'ls', '--reviewable')
  expect(list.stdout).toContain(request)
  const shown = await bob.sally('request', 'show', request)
  for (const part of ['alice', 'dba', 'ticket #1234', '1h', 'two of the database team'])
    expect(shown.stdout).toContain(part)

  const first = await bob.sally('request', 'review', request, '--approve', '--reason=go ahead')
  expect(first.code).toBe(0)
  await waiting.prints(/bob/)
  const early = await alice.ssh('db-box', 'true')
  expect(early.code).toBe(255)
  expect(early.stderr).toContain('alice may not use db-box')
})

test('4: the second approval ends the wait, and the same plain ssh works: no new login, no new certificate', async () => {
  const before = whatSshIsTold()
  const logins = sallyport.rows('SELECT id FROM login_sessions')
  const second = await carol.sally('request', 'review', request, '--approve', '--reason=seen it')
  expect(second.code).toBe(0)
  const ended = await waiting.finished
  expect(ended.code).toBe(0)
  expect(ended.stdout + ended.stderr).toMatch(/carol/)
  expect(ended.stdout).toMatch(/approved/i)

  const command = await alice.ssh('db-box', 'echo on $SALLYPORT_TEST_NODE; exit 7')
  expect(command).toMatchObject({ code: 7, stdout: 'on db-box\n', stderr: '' })
  shell = await openShell(alice, 'db-box')
  await shell.terminal.type('echo the answer is $((6 * 7))\r')
  await shell.terminal.shows(/the answer is 42/)

  expect(whatSshIsTold()).toEqual(before)
  expect(sallyport.rows('SELECT id FROM login_sessions')).toEqual(logins)
})

test('5: revoking closes the open shell at once, and its terminal says by whom and why', async () => {
  const list = await sallyport.admin('request', 'ls')
  for (const part of ['Token', 'Requestor', 'Metadata', 'Created At (UTC)', 'Status', request, 'alice'])
    expect(list.stdout).toContain(part)

  const revoked = await bob.sallyctl('request', 'revoke', request, '--reason=maintenance begins')
  expect(revoked.code).toBe(0)
  await shell.terminal.shows(/^your access \(dba\) was revoked by bob: maintenance begins$/m)
  expect(await shell.terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(shell.pid))
  // By the daemon's own clock, from the deed to the stored end: the shell gone on the target, the recording closed.
  const [revoke] = await sallyport.events({ type: 'grant.revoke', request })
  const ends = await sallyport.events({ type: 'session.end', request })
  expect((ends.at(-1)?.time ?? Infinity) - (revoke?.time ?? 0)).toBeLessThanOrEqual(1000)

  const again = await alice.ssh('db-box', 'true')
  expect(again.code).toBe(255)
  expect(again.stderr).toContain('alice may not use db-box')
})

test('6: the session replays, for those who may see it; pauses are skipped', async () => {
  const listed = await alice.sally('recordings', 'ls', '--format=json')
  const sessions = JSON.parse(listed.stdout) as { id: string; recording: { contents: string[]; state: string } }[]
  const recorded = sessions.find(({ recording }) => recording.contents.includes('shell'))
  expect(recorded?.recording.state).toBe('complete')
  const id = recorded?.id ?? ''

  for (const account of [alice, bob]) {
    const played = await account.sally('play', id, '--speed=4', '--skip-idle')
    expect(played.stderr).toBe('')
    expect(played.stdout).toContain('the answer is 42')
    expect(played.stdout).toContain('was revoked by bob: maintenance begins')
  }
  const screen = await alice.terminal('sally', 'play', id, '--speed=20', '--skip-idle')
  await screen.shows(/the answer is 42/)
  expect(await screen.exitStatus()).toBe(0)
  // The admin socket manages, and plays nothing.
  expect(
    (await sallyport.events({ type: 'session.recording.access', session: id })).map(({ actor }) => actor.name),
  ).toEqual(['alice', 'bob', 'alice'])
})

test('7: the audit log tells the whole story, in order, and its chain is whole', async () => {
  const story = (await sallyport.events({ request })).map(({ type, actor }) => `${actor.name} ${type}`)
  const expected = [
    'alice access_request.create',
    'bob access_request.review',
    'carol access_request.review',
    'access_request.approve',
    'grant.start',
    'session.start',
    'session.end',
    'bob grant.revoke',
  ]
  let from = 0
  for (const step of expected) {
    const at = story.findIndex((entry, index) => index >= from && entry.endsWith(step))
    expect(at, `${step} in ${JSON.stringify(story)}`).toBeGreaterThanOrEqual(0)
    from = at + 1
  }
  const found = await sallyport.admin('audit', 'search', `--request=${request}`)
  expect(found.stdout).toContain('access_request.approve')
  expect(found.stdout).toContain('grant.revoke')

  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
  expect(verified.code).toBe(0)
})

interface Stolen {
  readonly database: string
  readonly verify: readonly string[]
}

/** A copy of the database as it is now, and the words that verify it with what is kept outside. */
async function aCopy(name: string): Promise<Stolen> {
  const database = join(sallyport.folder, `${name}.db`)
  const trust = join(sallyport.folder, `${name}.pub`)
  const checkpoints = join(sallyport.folder, `${name}.jsonl`)
  const original = new DatabaseSync(sallyport.database, { readOnly: true })
  original.exec(`VACUUM INTO '${database}'`)
  original.close()
  writeFileSync(trust, `${await sallyport.checkpointKey()}\n`)
  copyFileSync(sallyport.checkpointFile, checkpoints)
  const words = [`--database=${database}`, `--trust=${trust}`, `--checkpoints=${checkpoints}`]
  return { database, verify: ['audit', 'verify', ...words] }
}

const edit = (database: string, sql: string): void => {
  const file = new DatabaseSync(database)
  file.exec(sql)
  file.close()
}

test('8: an untouched copy verifies; after an edit of the file verify names the event or the row, and exits with 9', async () => {
  const whole = await aCopy('whole')
  const clean = await sallyport.admin(...whole.verify)
  expect(clean.stdout).toMatch(/^(OK|UNANCHORED): /)
  expect([0, 10]).toContain(clean.code)

  const event = await aCopy('event')
  const [revoke] = await sallyport.events({ type: 'grant.revoke', request })
  edit(
    event.database,
    `UPDATE audit_events SET actor_json = replace(actor_json, '"bob"', '"mallory"') WHERE seq = ${revoke?.seq}`,
  )
  const edited = await sallyport.admin(...event.verify)
  expect(edited.code).toBe(9)
  expect(edited.stdout).toMatch(/^ALTERED: /)
  expect(edited.stdout).toMatch(new RegExp(`\\b${revoke?.seq}\\b`))

  const row = await aCopy('row')
  const [grant] = sallyport.rows('SELECT id FROM grants')
  edit(row.database, `UPDATE grants SET ends_at = ends_at + 3600000`)
  const longer = await sallyport.admin(...row.verify)
  expect(longer.code).toBe(9)
  expect(longer.stdout).toContain(String(grant?.['id']))
})

test('9: the same edit of the file that the daemon has open is found by the daemon', async () => {
  const [engineer] = sallyport.rows("SELECT id FROM roles WHERE name = 'engineer'")
  edit(sallyport.database, `UPDATE roles SET name = 'engineers' WHERE name = 'engineer'`)
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.code).toBe(9)
  expect(verified.stdout).toContain(String(engineer?.['id']))
})
