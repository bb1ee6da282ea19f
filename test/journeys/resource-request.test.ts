// Somebody asks for one server instead of everything that a role opens: stock ssh gets in there and nowhere else. The steps
// build on each other.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approve, openShell, type Shell } from '../support/granted.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import type { Sshd } from '../support/sshd.ts'
import { until } from '../support/until.ts'

const WHERE = 'echo "$SALLYPORT_TEST_NODE"'

let sallyport: Sallyport
let alice: Account
let bob: Account
let nodes: Record<'db-box' | 'web-box', Sshd>
let request = ''
let shell: Shell

beforeAll(async () => {
  sallyport = await startSallyport()
  const { login } = sallyport
  nodes = {
    'db-box': await sallyport.startNode('db-box', { env: 'prod', service: 'database' }),
    'web-box': await sallyport.startNode('web-box', { env: 'prod', service: 'web' }),
  }
  await sallyport.startNode('vault', { env: 'secret' })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('prod-admin', { logins: [login, 'nobody'], default_login: login, node_labels: { env: ['prod', 'live'] } })
  await role('engineer', {
    request: { search_as_roles: ['prod-*'], max_duration: '2h', reason: { mode: 'required' } },
  })
  await role('lead', { review_requests: { roles: ['prod-admin'], where: '"node/db-box" in request.resources' } })
  await role('chief', { review_requests: { roles: ['*'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead', 'chief'])
  ;[alice, bob] = [await sallyport.signIn('alice'), await sallyport.signIn('bob')]
})
afterAll(() => sallyport?.stop())

const relabel = (name: 'db-box' | 'web-box', labels: Record<string, string>): Promise<void> =>
  sallyport.addNode(name, nodes[name], labels)

async function ask(...args: readonly string[]): Promise<string> {
  const words = ['request', 'create', '--reason=ticket #1234', '--nowait', '--format=json', ...args]
  const done = await alice.sally(...words)
  const id = /"id":\s*"(req_[0-9a-f-]{36})"/.exec(done.stdout)?.[1]
  if (id === undefined) throw new Error(`sally request create ended with ${done.code}: ${done.stderr}`)
  return id
}

async function refused(target: string): Promise<string> {
  const done = await alice.ssh(target, WHERE)
  expect(done, target).toMatchObject({ code: 255, stdout: '' })
  return done.stderr
}

test('1: the refusal of ssh proposes to ask for the node, because the role as a whole cannot be asked for', async () => {
  const stderr = await refused('db-box')
  expect(stderr).toContain('This role would help: prod-admin')
  expect(stderr).toContain('sally request create --resource=node/db-box --reason="why you need it" --duration=1h')
  expect(await refused(`${sallyport.login}@db-box`)).toContain(`--resource=node/db-box --login=${sallyport.login}`)
  const whole = await alice.sally('request', 'create', '--roles=prod-admin', '--reason=x', '--nowait')
  expect(whole.code).toBe(6)
})

test('2: sally ls and sally request search show what may be asked for, and the command for it', async () => {
  expect((await alice.sally('ls')).stdout).toMatch(/^db-box .*no access .*node\/db-box\s*$/m)
  const found = await alice.sally('request', 'search', '--kind=node', 'env=prod')
  expect(found.code).toBe(0)
  expect(found.stdout).toMatch(/^node\/db-box .*env=prod.* - .*prod-admin/m)
  expect(found.stdout).toContain(
    'sally request create --resource=node/db-box --resource=node/web-box --reason="why you need it"',
  )
  expect(found.stdout).not.toContain('vault')
  const words = await alice.sally('request', 'search', 'DATA', '--format=json')
  expect(JSON.parse(words.stdout)).toMatchObject([
    { kind: 'node', name: 'db-box', logins: [], roles: [{ name: 'prod-admin', asRole: false, asResource: true }] },
  ])
  expect((await bob.sally('request', 'search')).stdout).toContain('Nothing found')
})

test('3: a node that must not be known, one that is absent and a kind without resources get the same answer', async () => {
  const answers = await Promise.all(
    ['node/vault', 'node/absent', 'database/orders'].map(async (name) => {
      const done = await alice.sally('request', 'create', `--resource=${name}`, '--reason=x', '--nowait')
      return { code: done.code, text: done.stderr.replaceAll(name, 'NAME'), stdout: done.stdout }
    }),
  )
  expect(answers[0]?.code).toBe(7)
  expect(answers[0]?.text).toContain('there is no NAME that you may use or ask for')
  for (const answer of answers) expect(answer).toEqual(answers[0])
})

test('4: the reviewer is shown the node and the login; after the approval plain ssh gets in there and nowhere else', async () => {
  request = await ask('--resource=node/db-box', `--login=${sallyport.login}`, '--duration=1h')
  const shown = await bob.sally('request', 'show', request)
  expect(shown.stdout).toMatch(/^Resources:\s+node\/db-box$/m)
  expect(shown.stdout).toMatch(/^Roles:\s+prod-admin$/m)
  expect(shown.stdout).toMatch(new RegExp(`^Login:\\s+${sallyport.login} only$`, 'm'))
  expect((await sallyport.admin('request', 'ls')).stdout).toContain('resources=node/db-box')
  await approve(bob, request)

  expect(await alice.ssh('db-box', WHERE)).toMatchObject({ code: 0, stdout: 'db-box\n', stderr: '' })
  expect(await refused('web-box')).toContain('alice may not use web-box')
  expect(await refused('nobody@db-box')).toContain('alice may not use nobody@db-box')
  const listed = await alice.sally('ls', '--format=json')
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { name: 'db-box', logins: [sallyport.login], accessUntil: expect.any(Number) as number },
    { name: 'web-box', logins: [], accessUntil: null },
  ])
})

test('5: a node labelled out of the role closes the shell and gives nothing, until it has its labels again', async () => {
  shell = await openShell(alice, 'db-box')
  await relabel('db-box', { env: 'dev', service: 'database' })
  await shell.terminal.shows(/node\/db-box was labelled anew since the approval/)
  expect(await shell.terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(shell.pid))
  await until('the suspension to be stored', async () => {
    return (await sallyport.events({ type: 'grant.suspend', request })).length === 1
  })
  expect(await refused('db-box')).toContain('there is no node db-box')
  await relabel('db-box', { env: 'prod', service: 'database' })
  expect(await alice.ssh('db-box', WHERE)).toMatchObject({ code: 0, stdout: 'db-box\n' })
  await until(
    'the grant to go on',
    async () => (await sallyport.events({ type: 'grant.resume', request })).length === 1,
  )
})

test('6: neither other labels nor an edited role let the grant give more than was approved', async () => {
  const { login } = sallyport
  const wider = { logins: [login, 'nobody', 'daemon'], default_login: login, node_labels: { '*': '*' } }
  await sallyport.role({ kind: 'role', metadata: { name: 'prod-admin' }, spec: { allow: wider } })
  expect(await alice.ssh('db-box', WHERE)).toMatchObject({ code: 0, stdout: 'db-box\n' })
  for (const target of ['web-box', 'vault', 'nobody@db-box', 'daemon@db-box']) await refused(target)
  // Labels that the pinned revision selects just as well: the same access, and no more.
  await relabel('db-box', { env: 'live', service: 'database' })
  expect(await alice.ssh('db-box', WHERE)).toMatchObject({ code: 0, stdout: 'db-box\n' })
  await refused('nobody@db-box')
})

test('7: a node made anew under the old name is another node: the grant has ended', async () => {
  shell = await openShell(alice, 'db-box')
  expect((await sallyport.admin('rm', 'node/db-box')).code).toBe(0)
  await shell.terminal.shows(/node\/db-box was removed/)
  await relabel('db-box', { env: 'prod', service: 'database' })
  expect(await refused('db-box')).toContain('alice may not use db-box')
  const [end] = await until('the end to be stored', async () => {
    const ends = await sallyport.events({ type: 'grant.end', request })
    return ends.length === 1 && ends
  })
  expect(end?.details).toMatchObject({ reason: 'resource_deleted' })
})

test('8: revoking closes the shell and says what ended', async () => {
  request = await ask('--resource=node/db-box,node/web-box', '--duration=30m')
  await approve(bob, request)
  shell = await openShell(alice, 'web-box')
  expect((await bob.sallyctl('request', 'revoke', request, '--reason=done')).code).toBe(0)
  await shell.terminal.shows(/^your access \(prod-admin on node\/web-box, node\/db-box\) was revoked by bob: done$/m)
  expect(await shell.terminal.exitStatus()).toBe(255)
  await refused('web-box')
  expect((await sallyport.admin('audit', 'verify')).code).toBeOneOf([0, 10])
})
