import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { aGrant, aRequest } from '../../../test/support/a-request.ts'
import { commandLine, NOW, signedInFolder, type CommandLineOptions } from '../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../test/support/fake-api.ts'
import { tempFolder } from '../../../test/support/temp-folder.ts'
import { Refused } from '../../foundation/errors.ts'
import type { OfflineVerdict } from '../shared/command-context.ts'
import { sallyctl } from './program.ts'

async function run(
  args: readonly string[],
  handlers: FakeHandlers,
  rest: Partial<Omit<CommandLineOptions, 'program' | 'api' | 'folder'>> = {},
) {
  using temp = tempFolder()
  const api = fakeApi(handlers)
  const result = await commandLine(args, { program: sallyctl, api, folder: await signedInFolder(temp.path), ...rest })
  return { ...result, calls: api.calls }
}

test('request ls has exactly the heads that people know, with times in UTC', async () => {
  const { stdout } = await run(['request', 'ls'], {
    listRequests: () => ({
      items: [
        aRequest({ id: 'req_2', reason: 'x\r\nreq_9  mallory  roles=root' }),
        aRequest({ state: 'approved', grant: aGrant({ state: 'ended', endReason: 'revoked' }) }),
      ],
      next: null,
    }),
  })
  expect(stdout.split('\n')[0]?.split(/ {2,}/)).toEqual([
    'Token',
    'Requestor',
    'Metadata',
    'Created At (UTC)',
    'Status',
  ])
  expect(stdout).toMatchInlineSnapshot(`
    "Token  Requestor  Metadata                                                        Created At (UTC)     Status
    -----  ---------  --------------------------------------------------------------  -------------------  -------
    req_2  alice      roles=dba duration=1h reason="x\\r\\nreq_9  mallory  roles=root"  2026-01-01 11:55:00  PENDING
    req_1  alice      roles=dba duration=1h reason="ticket #1234"                     2026-01-01 11:55:00  REVOKED
    "
  `)
})

test('all pages are listed, and a server that repeats a cursor does not hold the command for ever', async () => {
  const pages = await run(['request', 'ls', '--format=json'], {
    listRequests: ({ query }) =>
      query.cursor === undefined
        ? { items: [aRequest()], next: 'c1' }
        : { items: [aRequest({ id: 'req_2' })], next: 'c1' },
  })
  expect((JSON.parse(pages.stdout) as unknown[]).length).toBe(2)
})

test('revoke ends the grant and shows what became of it', async () => {
  const { stdout, calls } = await run(['request', 'revoke', 'req_1', '--reason=incident over'], {
    revokeGrant: ({ body }) =>
      aRequest({
        state: 'approved',
        grant: aGrant({
          state: 'ended',
          endReason: 'revoked',
          endedBy: 'local-admin',
          endComment: body.reason,
          endedAt: NOW,
        }),
      }),
  })
  expect(calls[0]?.body).toEqual({ reason: 'incident over' })
  expect(stdout).toContain('revoked by local-admin: incident over')
})

test('approve sends the digests of what the API showed', async () => {
  const { calls, exit } = await run(['request', 'approve', 'req_1', '--reason=ok'], {
    showRequest: () => aRequest(),
    review: () => aRequest({ state: 'approved' }),
  })
  expect(exit).toBe(0)
  expect(calls[1]?.body).toEqual({
    decision: 'approve',
    reason: 'ok',
    shown: { duration: 3_600_000, startAt: null },
    requestDigest: 'a'.repeat(64),
    factsDigest: 'b'.repeat(64),
  })
})

test("one's own request is refused with exit code 6", async () => {
  const { exit, stderr } = await run(['request', 'deny', 'req_1'], {
    showRequest: () => aRequest(),
    review: () => {
      throw new Refused('own_request', 'nobody reviews a request of their own')
    },
  })
  expect([exit, stderr]).toEqual([6, 'sallyctl: nobody reviews a request of their own\n'])
})

const ROLE = 'kind: role\nmetadata: { name: dba }\nspec: {}\n'

test('create takes several documents, in their order, from a file or from standard input', async () => {
  const handlers: FakeHandlers = {
    createDocument: ({ body }) => {
      const { kind, metadata } = body.document as { kind: string; metadata: { name: string } }
      return { kind, name: metadata.name, created: !body.replace }
    },
  }
  const stdin = `${ROLE}---\n# nothing\n---\n${ROLE.replace('dba', 'ops')}`
  const result = await run(['create', '-f', '-', '--replace'], handlers, { stdin })
  expect(result.stderr).toBe('replaced role/dba\nreplaced role/ops\n')
  using temp = tempFolder()
  writeFileSync(temp.file('x.yaml'), ROLE)
  expect((await run(['create', `--file=${temp.file('x.yaml')}`], handlers)).stderr).toBe('made role/dba\n')
})

test('a document that is refused stops the rest and is named', async () => {
  const result = await run(
    ['create', '-f', '-'],
    {
      createDocument: ({ body }) => {
        if (JSON.stringify(body.document).includes('bad')) throw new Refused('malformed', 'spec.x: unknown key')
        return { kind: 'role', name: 'dba', created: true }
      },
    },
    { stdin: `${ROLE}---\n${ROLE.replace('dba', 'bad')}---\n${ROLE}` },
  )
  expect(result.exit).toBe(2)
  expect(result.calls).toHaveLength(2)
  expect(result.stderr).toContain('document 2 of 3, role/bad:')
})

test.each([
  ['a: [', /no YAML/],
  ['a: 1\na: 2', /no YAML/],
  ['a: &x 1\nb: *x', /aliases/],
  ['', /no document/],
  ['# only words\n', /no document/],
])('a file that holds %j is refused before anything is sent', async (stdin, says) => {
  const result = await run(['create', '-f', '-'], {}, { stdin })
  expect(result.exit).toBe(2)
  expect(result.stderr).toMatch(says)
  expect(result.calls).toEqual([])
})

const user = {
  id: 'usr_1',
  name: 'ada',
  email: null,
  roles: ['engineer'],
  traits: { team: ['dba', 'ops'] },
  disabled: false,
  secondFactor: true,
  createdAt: NOW,
}

test('get prints YAML that create takes again', async () => {
  const { stdout } = await run(['get', 'user/ada'], { listUsers: () => ({ items: [user] }) })
  expect(parseAllDocuments(stdout).map((each) => each.toJS() as unknown)).toEqual([
    {
      kind: 'user',
      version: 'v1',
      metadata: { name: 'ada' },
      spec: { roles: ['engineer'], traits: { team: ['dba', 'ops'] }, disabled: false },
    },
  ])
})

test.each([
  ['user/nobody', 7],
  ['users/', 2],
  ['horse', 2],
  ['role/a/b', 2],
])('get %s exits with %i', async (target, exit) => {
  expect((await run(['get', target], { listUsers: () => ({ items: [user] }) })).exit).toBe(exit)
})

test('edit sends what the editor saved, and keeps the text when it is refused', async () => {
  const editor = (change: (text: string) => string) => ({
    env: { EDITOR: 'vi' },
    extra: {
      execute: (_: string, args: readonly string[]) => {
        const file = args.at(-1) ?? ''
        writeFileSync(file, change(readFileSync(file, 'utf8')))
        return Promise.resolve(0)
      },
    },
  })
  const handlers: FakeHandlers = {
    listUsers: () => ({ items: [user] }),
    createDocument: () => ({ kind: 'user', name: 'ada', created: false }),
  }
  const changed = await run(
    ['edit', 'user/ada'],
    handlers,
    editor((text) => text.replace('engineer', 'ops')),
  )
  expect(changed.calls[1]?.body).toMatchObject({ replace: true, document: { spec: { roles: ['ops'] } } })
  const same = await run(
    ['edit', 'user/ada'],
    handlers,
    editor((text) => text),
  )
  expect([same.stdout, same.calls.length]).toEqual(['Nothing was changed.\n', 1])
  const broken = await run(
    ['edit', 'user/ada'],
    handlers,
    editor(() => 'a: ['),
  )
  expect(broken.exit).toBe(2)
  const kept = /kept in (\S+)/.exec(broken.stderr)?.[1] ?? ''
  expect(readFileSync(kept, 'utf8')).toBe('a: [')
  expect((await run(['edit', 'user/ada'], handlers)).exit).toBe(2)
})

test('a fresh code is asked for once and bound to the deed', async () => {
  const handlers: FakeHandlers = {
    removeRole: (_, call) => {
      if (call.request.headers['sallyport-step-up'] === 'once') return {}
      throw new Refused('step_up_required', 'confirm this')
    },
    stepUp: ({ body }) => (body.code === '123456' ? { token: 'once' } : { token: 'wrong' }),
  }
  expect((await run(['rm', 'role/dba', '--code=123456'], handlers)).exit).toBe(0)
  expect((await run(['rm', 'role/dba'], handlers, { env: { SALLY_CODE: '123456' } })).exit).toBe(0)
  expect((await run(['rm', 'role/dba'], handlers, { answers: [' 123456 '] })).exit).toBe(0)
  const alone = await run(['rm', 'role/dba'], handlers)
  expect(alone.exit).toBe(6)
  expect(alone.stderr).toContain('SALLY_CODE')
})

test('an invitation is the one line on stdout', async () => {
  const { stdout, calls } = await run(
    ['users', 'add', 'ada', '--roles=engineer', '--trait=team=dba', '--trait=team=ops'],
    {
      addUser: ({ body }) => ({ user: body.name, code: 'c', expiresAt: NOW, command: 'sally login --invite=c' }),
    },
  )
  expect(stdout).toBe('sally login --invite=c\n')
  expect(calls[0]?.body).toEqual({ name: 'ada', roles: ['engineer'], traits: { team: ['dba', 'ops'] } })
})

test('a lock names exactly one thing', async () => {
  const handlers: FakeHandlers = {
    addLock: ({ body }) => ({
      id: 'lck_1',
      target: { kind: body.kind, id: 'usr_1', name: body.target },
      message: body.message,
      createdBy: 'bob',
      createdAt: NOW,
      expiresAt: null,
    }),
  }
  const result = await run(['lock', 'add', '--user=ada', '--message=gone', '--ttl=2d'], handlers)
  expect(result.calls[0]?.body).toEqual({ kind: 'user', target: 'ada', message: 'gone', ttl: '2d' })
  expect((await run(['lock', 'add'], handlers)).exit).toBe(2)
  expect((await run(['lock', 'add', '--user=a', '--role=b'], handlers)).exit).toBe(2)
})

const whole: OfflineVerdict = {
  events: 12,
  rows: 5,
  checkpoints: 3,
  sessionFiles: 1,
  anchored: true,
  notes: [],
  problems: [],
}
const altered = [{ kind: 'chain', where: 'event 7', message: 'does not match\x1b[2J' }]

test.each([
  [whole, 0, 'OK: 12 events'],
  [{ ...whole, anchored: false }, 10, 'UNANCHORED: proves consistency only'],
  [{ ...whole, problems: altered }, 9, 'ALTERED: 1 problem'],
  [{ ...whole, anchored: false, problems: altered }, 9, '  chain at event 7: does not match\\x1b[2J'],
])('verify of %j exits with %i', async (verdict, exit, says) => {
  const asked = await run(['audit', 'verify'], {
    verifyAudit: () => ({ ...verdict, notes: [], problems: [...verdict.problems] }),
  })
  expect([asked.exit, asked.stdout.includes(says)]).toEqual([exit, true])
  const extra = { verifyOffline: () => Promise.resolve(verdict) }
  const offline = await run(['audit', 'verify', '--database=x.db'], {}, { extra })
  expect([offline.exit, offline.calls.length]).toEqual([exit, 0])
})

test('anchors without a database are wrong usage', async () => {
  expect((await run(['audit', 'verify', '--trust=key'], {})).exit).toBe(2)
})

const AN_EVENT = {
  seq: 1,
  id: 'evt_1',
  time: NOW,
  type: 'access_request.create' as const,
  actor: { kind: 'user' as const, id: 'usr_1', name: 'alice' },
  login: null,
  request: 'req_1',
  grants: [],
  session: null,
  resource: null,
  outcome: 'success' as const,
}

test('search keeps to the limit across pages and prints hostile details on one line', async () => {
  const details = { reason: 'a\n\x1b]0;evil\x07' }
  const event = (seq: number) => ({ ...AN_EVENT, seq, id: `evt_${seq}`, details })
  const { stdout, calls } = await run(['audit', 'search', '--since=2h', '--limit=3', '--type=access_request.*'], {
    searchAudit: ({ query }) =>
      query.cursor === undefined
        ? { items: [event(3), event(2)], next: 'more' }
        : { items: [event(1)].slice(0, query.limit), next: 'more' },
  })
  expect(calls.map((call) => call.request.target)).toEqual([
    `/v1/audit/events?type=access_request.*&since=${NOW - 7_200_000}&limit=3`,
    `/v1/audit/events?type=access_request.*&since=${NOW - 7_200_000}&cursor=more&limit=1`,
  ])
  expect(stdout).toMatchInlineSnapshot(`
    "Seq  Time (UTC)           Type                   Who    Outcome  About
    ---  -------------------  ---------------------  -----  -------  -------------------------------
    3    2026-01-01 12:00:00  access_request.create  alice  success  reason=a\\n\\x1b]0;evil\\x07 req_1
    2    2026-01-01 12:00:00  access_request.create  alice  success  reason=a\\n\\x1b]0;evil\\x07 req_1
    1    2026-01-01 12:00:00  access_request.create  alice  success  reason=a\\n\\x1b]0;evil\\x07 req_1
    "
  `)
})

test('audit search shows instants and durations as people read them, and leaves digests and structures to the scripts', async () => {
  const details = {
    ...{
      endsAt: NOW,
      startedAt: 9e15,
      durationMs: 5_400_000,
      tookMs: 20,
      roles: ['dba', 'dev'],
      chunks: 7,
      ended: false,
    },
    ...{ factsDigest: 'ab'.repeat(32), automation: { votes: [] }, none: null, reason: 'x'.repeat(61) },
  }
  const event = { ...AN_EVENT, details }
  const { stdout } = await run(['audit', 'search'], { searchAudit: () => ({ items: [event], next: null }) })
  expect(stdout.trim().split('\n').at(-1)?.split('success  ')[1]).toBe(
    'endsAt=2026-01-01T12:00:00Z startedAt=9000000000000000 duration=1h30m tookMs=20 roles=dba,dev chunks=7 ended=false reason=... req_1',
  )
})

test('accept-rollback wants a yes', async () => {
  const handlers: FakeHandlers = { acceptRollback: () => ({}) }
  const args = ['audit', 'accept-rollback', '--reason=restored']
  expect((await run(args, handlers)).exit).toBe(2)
  expect((await run(args, handlers, { answers: [false] })).exit).toBe(1)
  expect((await run([...args, '--yes'], handlers)).exit).toBe(0)
})

test('ca export prints the keys of one kind, and names the kinds when there is none', async () => {
  const items = ['old', 'new'].map((id) => ({
    id,
    kind: 'onward-ssh',
    state: 'trusted',
    public: `ssh-ed25519 AAAA${id}\n`,
    createdAt: NOW,
  }))
  const handlers: FakeHandlers = { listAuthorities: () => ({ items }) }
  expect((await run(['ca', 'export', '--kind=onward-ssh'], handlers)).stdout).toBe(
    'ssh-ed25519 AAAAold\nssh-ed25519 AAAAnew\n',
  )
  const none = await run(['ca', 'export', '--kind=x'], handlers)
  expect([none.exit, none.stderr.includes('onward-ssh')]).toEqual([7, true])
})

test('ca rotate takes the step that was named, shows where it stands and says what comes next', async () => {
  const steps: string[] = []
  const items = [{ id: 'aut_2', kind: 'user-ssh', state: 'next', public: 'ssh-ed25519 AAAA', createdAt: NOW }]
  const handlers: FakeHandlers = {
    rotateAuthority: ({ params, body }) => {
      steps.push(`${params['kind']} ${body.step}`)
      return {}
    },
    listAuthorities: () => ({ items }),
  }
  const done = await run(['ca', 'rotate', '--kind=user-ssh', '--step=init'], handlers)
  expect([done.exit, steps]).toEqual([0, ['user-ssh init']])
  expect(done.stdout).toContain('--step=trust')
  const none = await run(['ca', 'rotate', '--kind=user-ssh'], handlers)
  expect([none.exit, none.stderr.includes('init, trust, sign, drop')]).toEqual([2, true])
  expect((await run(['ca', 'rotate', '--kind=user-ssh', '--step=now'], handlers)).exit).toBe(2)
})

test('request show has what a reviewer looks at, as long as it is undecided', async () => {
  const preview = {
    change: {
      nodes: { before: 3, after: 4 },
      logins: { before: [], added: ['postgres'] },
      gains: [{ node: 'db-1', logins: ['postgres'] }],
      moreGains: 0,
      complete: true,
    },
    lastUses: [],
    otherPending: [],
    hints: ['asked from the same address as yours'],
    needed: ['dba: 1 more approval'],
  }
  const handlers: FakeHandlers = { showRequest: () => aRequest(), previewRequest: () => preview }
  const shown = await run(['request', 'show', 'req_1'], handlers)
  expect(shown.stdout).toMatch(/^Changes: +nodes: 3 -> 4, logins \+ postgres$/m)
  expect(shown.stdout).toMatch(/^Look closely: asked from the same address as yours$/m)
  const asJson = await run(['request', 'show', 'req_1', '--format=json'], handlers)
  expect(JSON.parse(asJson.stdout)).toMatchObject({ id: 'req_1', preview })
  const decided = await run(['request', 'show', 'req_1'], { showRequest: () => aRequest({ state: 'denied' }) })
  expect(decided.stdout).not.toContain('Changes:')
})

test('status names the daemons on the store, one a line, with when each was last heard of', async () => {
  const instance = { id: 'ist_a', name: 'host-a/1', startedAt: NOW, seenAt: NOW, isThis: true, lives: true }
  const { stdout } = await run(['status'], {
    status: () => ({
      ready: true,
      instances: [
        { ...instance, heardOfMsAgo: 1500 },
        { ...instance, id: 'ist_b', name: 'host-b/2\x1b[2J', isThis: false, lives: false, heardOfMsAgo: 190_000 },
      ],
    }),
  })
  expect(stdout).toMatchInlineSnapshot(`
    "ready:     true
    instances: host-a/1 ist_a (this one), heard of 1s ago
               host-b/2\\x1b[2J ist_b, heard of 3m10s ago: taken for dead
    "
  `)
})
