// Rules and policies of a real daemon, with stock ssh: one approves at once, others limit, deny, and fail.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder } from '../support/temp-folder.ts'

const SDK = `import { abstain, approve, deny, limit, require, type Policy } from '@sallyport/sdk/policy'\n`
const folder = tempFolder('policies')
let sallyport: Sallyport
let alice: Account
let bob: Account

function policy(file: string, body: string): void {
  const used = /\b(abstain|approve|deny|limit|require)\(/.test(body)
  writeFileSync(join(folder.path, file), `${used ? SDK : ''}${body}`, { mode: 0o644 })
}

beforeAll(async () => {
  mkdirSync(folder.path, { recursive: true, mode: 0o755 })
  policy(
    'production.ts',
    `const production: Policy = ({ request }) => {
      if (request.reason.includes('freeze')) return deny('production is frozen')
      return request.roles.includes('dba') ? limit('30m') : abstain()
    }
    export default production`,
  )
  sallyport = await startSallyport({ config: { policies: folder.path } })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'], max_duration: '4h' } })
  await role('dba-reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['dba-reviewer'])
  alice = await sallyport.signIn('alice')
  bob = await sallyport.signIn('bob', { apps: 1 })
})
afterAll(async () => {
  await sallyport?.stop()
  folder[Symbol.dispose]()
})

const reviewRule = (name: string, spec: Record<string, unknown>) =>
  sallyport.document({ kind: 'review_rule', version: 'v1', metadata: { name }, spec: { roles: ['dba'], ...spec } })
const ask = (reason: string) => alice.sally('request', 'create', '--roles=dba', `--reason=${reason}`, '--duration=1h')

test('a rule approves at once, a policy limits it, and the same stock ssh works', async () => {
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)
  await reviewRule('office', { decision: 'approve', reason: 'read the runbook' })
  const asked = await ask('ticket #1')
  expect(asked.stdout).toContain('Request approved: approved by rule:office: read the runbook')
  expect(asked.code).toBe(0)
  expect(asked.stdout).toContain('policy:production limits it to 30m')
  expect((await alice.ssh('db-box', 'echo in')).stdout).toBe('in\n')
  const [grant] = sallyport.rows('select starts_at, ends_at from grants')
  expect(Number(grant?.['ends_at']) - Number(grant?.['starts_at'])).toBe(30 * 60_000)
  expect((await sallyport.api.listDeliveries({})).items.map((each) => each.topic)).not.toContain('request.created')
})

test('a policy denies, whatever a rule approves, and says why', async () => {
  const asked = await ask('in spite of the freeze')
  expect(asked.code).toBe(3)
  expect(asked.stdout).toContain('denied by policy:production: production is frozen')
})

test('a looping policy blocks and says so; the daemon keeps answering; gone again, the next vote decides', async () => {
  policy('loop.ts', 'export default () => { for (;;); }')
  expect((await sallyport.admin('policy', 'reload')).stdout).toContain('loaded loop.ts')
  const asked = alice.start('sally', 'request', 'create', '--roles=dba', '--reason=ticket #2')
  await asked.prints(/^Seeking request approval/m)
  expect(asked.stdout()).toMatch(/cannot be approved: policy:loop failed: it (took longer|was killed)/)
  expect((await sallyport.api.ping({})).version).toBeTruthy()
  expect(sallyport.rows("select state from access_requests where reason = 'ticket #2'")).toEqual([{ state: 'pending' }])
  expect((await sallyport.events({ type: 'policy.fail' })).at(-1)?.details).toMatchObject({
    by: 'policy:loop',
    blocks: true,
  })

  rmSync(join(folder.path, 'loop.ts'))
  expect((await sallyport.admin('policy', 'reload')).stdout).toContain('removed loop.ts')
  const id = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout())?.[0] ?? ''
  expect((await bob.sally('request', 'review', id, '--approve')).code).toBe(0)
  expect((await asked.finished).stdout).toContain('Request approved')
})

test('a changed folder is asked about past requests before it is put in force', async () => {
  const changed = tempFolder('changed')
  writeFileSync(changed.file('production.ts'), `${SDK}export default (() => deny('never')) satisfies Policy`)
  const replay = ['policy', 'test', '--since=1h'] as const
  const other = await sallyport.admin(...replay, `--policy=${changed.path}`)
  expect(other.code).toBe(8)
  expect(other.stdout).toMatch(/ alice dba \(approved\): policy:production said limit 30m, would say deny$/m)
  const same = await sallyport.admin(...replay, `--policy=${folder.path}`, '--format=json')
  const differences = (JSON.parse(same.stdout) as { differences: { policy: string }[] }).differences
  // The looping one was in force for one request and is gone.
  expect(differences.map((each) => each.policy)).toEqual(['policy:loop'])
  changed[Symbol.dispose]()
})

test('a file that does not compile: reload says where and the old ones stay; a start is refused', async () => {
  policy('broken.ts', 'const a: number = 1\nenum Nope { a }\nexport default () => a')
  const reload = await sallyport.admin('policy', 'reload')
  expect(reload.code).toBe(2)
  expect(reload.stderr).toContain('broken.ts:2: ')
  expect((await sallyport.admin('policy', 'ls')).stdout).toMatch(/^production\.ts +[0-9a-f]{12} +blocks/m)
  await sallyport.kill()
  const refused = await sallyport.startBeside()
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('broken.ts:2: ')
  rmSync(join(folder.path, 'broken.ts'))
  await sallyport.restart()
  expect((await sallyport.events({ type: 'policy.' })).length).toBe(0)
  expect((await sallyport.admin('audit', 'verify')).code).not.toBe(9)
})
