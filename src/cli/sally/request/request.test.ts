import { expect, test } from 'vitest'
import { aGrant, aRequest, aReview } from '../../../../test/support/a-request.ts'
import { commandLine, NOW, signedInFolder, type CommandLineOptions } from '../../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import type { AccessRequest } from '../../../contract/request.ts'
import { Refused } from '../../../foundation/errors.ts'
import { sally } from '../program.ts'

const preview = {
  resources: [],
  narrowing: null,
  roles: ['dba'],
  duration: 3_600_000,
  longest: 14_400_000,
  reviewers: ['bob', 'carol'],
  approvalsNeeded: [{ role: 'dba', name: 'dba team', approve: 2 }],
  warnings: [],
}
const noNodes: FakeHandlers = { listNodes: () => ({ items: [] }) }

async function run(
  args: readonly string[],
  handlers: FakeHandlers,
  rest: Partial<Omit<CommandLineOptions, 'program' | 'api' | 'folder'>> = {},
) {
  using temp = tempFolder()
  const api = fakeApi({ ...noNodes, ...handlers })
  const result = await commandLine(args, { program: sally, api, folder: await signedInFolder(temp.path), ...rest })
  return { ...result, calls: api.calls }
}

const once = aReview('bob', 'approve', 'fine')
const half: Partial<AccessRequest> = {
  version: 2,
  reviews: [once],
  reviewers: ['carol'],
  progress: [{ role: 'dba', name: 'dba team', approvals: 1, approve: 2, denials: 0, deny: 1, met: false }],
}

test('trap 21: a reason that seems to hold a secret is warned of when it is typed, without being repeated', async () => {
  const secret = `AKIA${'ABCDEFGH12345678'}`
  const result = await run(['request', 'create', '--roles=dba', `--reason=use ${secret}`, '--nowait'], {
    ask: () => ({ request: aRequest(), preview, existing: false }),
  })
  expect(result.exit).toBe(0)
  expect(result.stderr).toContain('the reason seems to hold an AWS access key')
  expect(result.stderr).not.toContain(secret)
})

test('asking prints the request, waits, tells who has answered and ends with the approval', async () => {
  const steps = [
    aRequest(half),
    aRequest({
      ...half,
      version: 3,
      state: 'approved',
      resolution: 'approved by bob and carol',
      reviews: [once, aReview('carol')],
      grant: aGrant({ endsAt: NOW + 3_600_000 }),
    }),
  ]
  const result = await run(['request', 'create', '--roles=dba', '--reason=ticket #1234', '--duration=1h'], {
    ask: () => ({ request: aRequest(), preview, existing: false }),
    watchRequest: () => steps.shift() ?? aRequest(),
  })
  expect(result.exit).toBe(0)
  expect(result.calls[0]?.body).toEqual({
    roles: ['dba'],
    reviewers: [],
    dryRun: false,
    reason: 'ticket #1234',
    duration: 3_600_000,
  })
  expect(result.calls.slice(1, 3).map((call) => call.request.target)).toEqual([
    '/v1/requests/req_1/watch?version=1',
    '/v1/requests/req_1/watch?version=2',
  ])
  expect(result.stdout).toMatchInlineSnapshot(`
    "Request:     req_1
    Requestor:   alice
    Roles:       dba
    Reason:      | ticket #1234
    Duration:    1h
    Asked:       2026-01-01 11:55:00 (UTC 2026-01-01 11:55:00)
    State:       pending
    Open until:  2026-01-02 11:55:00
    Needed:      0 of 2 approvals for dba (dba team)
    Can approve: bob, carol
    Request approved: approved by bob and carol
    Access until 2026-01-01 13:00:00. Connect as always: ssh NODE
    "
  `)
  expect(result.stderr).toMatchInlineSnapshot(`
    "Seeking request approval...
    bob approved dba: "fine"
    1 of 2 approvals for dba (dba team); can answer: carol
    carol approved dba
    "
  `)
})

test.each([
  ['denied', 3],
  ['cancelled', 4],
  ['expired', 4],
] as const)('a request that ends %s exits with %i', async (state, exit) => {
  const result = await run(['request', 'new', '--roles=dba'], {
    ask: () => ({ request: aRequest(), preview, existing: false }),
    watchRequest: () => aRequest({ version: 2, state, resolution: 'bob: not today' }),
  })
  expect(result.exit).toBe(exit)
  expect(result.stdout).toContain(`Request ${state}: bob: not today`)
})

test('--nowait files the request and ends', async () => {
  const result = await run(['request', 'create', '--roles=a,b', '--roles=c', '--nowait'], {
    ask: () => ({ request: aRequest(), preview, existing: false }),
  })
  expect(result.exit).toBe(0)
  expect(result.calls.map((call) => call.route)).toEqual(['ask', 'listNodes'])
  expect(result.calls[0]?.body).toMatchObject({ roles: ['a', 'b', 'c'] })
  expect(result.stdout).toContain('sally request show req_1 --wait')
})

test('--dry-run tells what would be asked and stores nothing', async () => {
  const result = await run(['request', 'create', '--roles=dba', '--dry-run'], {
    ask: ({ body }) => ({ request: body.dryRun ? null : aRequest(), preview, existing: false }),
  })
  expect(result.stdout).toMatchInlineSnapshot(`
    "Roles:       dba
    Duration:    1h (longest: 4h)
    Approvals:   2 for dba (dba team)
    Can approve: bob, carol
    "
  `)
})

test('programs get one JSON document, the decided request', async () => {
  const result = await run(['request', 'create', '--roles=dba', '--format=json'], {
    ask: () => ({ request: aRequest(), preview, existing: false }),
    watchRequest: () => aRequest({ version: 2, state: 'denied' }),
  })
  expect(JSON.parse(result.stdout)).toMatchObject({ id: 'req_1', state: 'denied' })
  expect(result.stderr).toBe('')
  expect(result.exit).toBe(3)
})

test('Ctrl-C leaves the request open and says how to go on', async () => {
  const interrupt = new AbortController()
  const result = await run(
    ['request', 'create', '--roles=dba'],
    {
      ask: () => ({ request: aRequest(), preview, existing: false }),
      watchRequest: () => {
        interrupt.abort(new Error('Ctrl-C'))
        throw interrupt.signal.reason as Error
      },
    },
    { interrupted: interrupt.signal },
  )
  expect(result.stderr).toContain('sally request show req_1 --wait')
  expect(result.calls.map((call) => call.route)).toEqual(['ask', 'watchRequest'])
})

test('a daemon that restarts does not end the waiting', async () => {
  const clock = new ManualClock(NOW)
  let polls = 0
  const result = await run(
    ['request', 'create', '--roles=dba'],
    {
      ask: () => ({ request: aRequest(), preview, existing: false }),
      watchRequest: () => {
        polls += 1
        // After this poll the command sleeps: let the time pass.
        if (polls < 3) {
          setImmediate(() => clock.advance(2000))
          throw new Refused('shutting_down', 'the daemon stops')
        }
        return aRequest({ version: 2, state: 'denied' })
      },
    },
    { clock },
  )
  expect(polls).toBe(3)
  expect(result.exit).toBe(3)
  expect(result.stderr.match(/trying again/g)).toHaveLength(1)
})

test('a reason is asked for only when the server wants one and somebody sits there', async () => {
  const handlers: FakeHandlers = {
    ask: ({ body }) => {
      if (body.reason === '') throw new Refused('reason_required', 'dba needs a reason.')
      return { request: aRequest({ state: 'denied' }), preview, existing: false }
    },
  }
  const asked = await run(['request', 'create', '--roles=dba'], handlers, { answers: ['ticket 7'] })
  expect(asked.asked).toEqual(['dba needs a reason. Reason:'])
  expect(asked.calls[1]?.body).toMatchObject({ reason: 'ticket 7' })
  const alone = await run(['request', 'create', '--roles=dba'], handlers)
  expect(alone.exit).toBe(2)
})

test('show tells a reviewer all that matters, and a hostile reason stays inside its frame', async () => {
  const reason = 'fix\x1b[2J\x1b[31m\nState:       approved\n\u202eevil'
  const { stdout, exit } = await run(['request', 'show', 'req_1'], {
    previewRequest: () => ({
      change: {
        nodes: { before: 3, after: 14 },
        logins: { before: ['deploy'], added: ['postgres'] },
        gains: ['db-1', 'db-2', 'db-3', 'db-4', 'db-5', 'db-6'].map((node) => ({ node, logins: ['postgres'] })),
        moreGains: 5,
        complete: true,
      },
      lastUses: [
        {
          ...{ session: 'ses_1', request: 'req_0', resource: { kind: 'node', name: 'db-1' }, login: 'postgres' },
          ...{ dbName: null, startedAt: NOW, endedAt: NOW + 120_000 },
        },
        {
          ...{ session: 'ses_2', request: 'req_0', resource: { kind: 'database', name: 'orders' }, login: 'app' },
          ...{ dbName: 'shop\x1b[2J', startedAt: NOW, endedAt: null },
        },
      ],
      otherPending: [{ id: 'req_2', roles: ['web'], reason: 'x\x1b[2J', createdAt: NOW }],
      hints: ['asked from the same address as yours'],
      needed: ['dba: 1 more approval counted by "dba team"'],
    }),
    showRequest: () =>
      aRequest({
        ...half,
        reason,
        can: ['review'],
        grantedDuration: 1_800_000,
        reviews: [{ ...once, reason: 'ok\n\x07' }],
      }),
  })
  expect(exit).toBe(0)
  expect(stdout).not.toMatch(/[^\n\x20-\x7e]/)
  expect(stdout).toMatchInlineSnapshot(`
    "Request:     req_1
    Requestor:   alice
    Roles:       dba
    Reason:      | fix\\x1b[2J\\x1b[31m
                 | State:       approved
                 | \\u202eevil
    Duration:    1h asked, 30m by the approvals so far
    Asked:       2026-01-01 11:55:00 (UTC 2026-01-01 11:55:00)
    State:       pending
    Open until:  2026-01-02 11:55:00
    Needed:      1 of 2 approvals for dba (dba team)
    Can approve: carol
    Votes:       bob approved dba: "ok\\n\\x07"

    Changes:      nodes: 3 -> 14, logins + postgres
                  db-1: + postgres
                  db-2: + postgres
                  db-3: + postgres
                  db-4: + postgres
                  db-5: + postgres
                  and 6 more
    Still needed: dba: 1 more approval counted by "dba team"
    Last uses:    2026-01-01 12:00:00 postgres@db-1, 2 min (sally play ses_1)
                  2026-01-01 12:00:00 app on database orders, in shop\\x1b[2J, open now (sally play ses_2)
    Also open:    req_2: web: "x\\x1b[2J"
    Look closely: asked from the same address as yours

    To vote: sally request review req_1 --approve|--deny [--reason=...]
    "
  `)
})

test('ls prints one line for each request, whatever the reason holds', async () => {
  const { stdout } = await run(
    ['request', 'ls', '--reviewable'],
    { listRequests: () => ({ items: [aRequest({ reason: 'a\nb\x1b[2J "c"' })], next: null }) },
    { columns: 100 },
  )
  expect(stdout).toMatchInlineSnapshot(`
    "Token  Requestor  Metadata                                        Created At (UTC)     Status
    -----  ---------  ----------------------------------------------  -------------------  -------
    req_1  alice      roles=dba duration=1h reason="a\\nb\\x1b[2J "c""  2026-01-01 11:55:00  PENDING
    "
  `)
})

test('two scopes at once are wrong usage', async () => {
  expect((await run(['request', 'ls', '--mine', '--all'], {})).exit).toBe(2)
})

test('a vote carries the digests of what was shown, after the person agreed', async () => {
  const handlers: FakeHandlers = {
    showRequest: () => aRequest({ requestDigest: 'c'.repeat(64) }),
    review: () => aRequest(half),
  }
  const yes = await run(['request', 'review', 'req_1', '--approve', '--duration=30m'], handlers, { answers: [true] })
  expect(yes.asked).toEqual(['Approve this for 30m?'])
  expect(yes.stderr).toContain('| ticket #1234')
  expect(yes.calls[1]?.body).toEqual({
    decision: 'approve',
    reason: '',
    shown: { duration: 3_600_000, startAt: null },
    duration: 1_800_000,
    requestDigest: 'c'.repeat(64),
    factsDigest: 'b'.repeat(64),
  })
  const no = await run(['request', 'review', 'req_1', '--approve'], handlers, { answers: [false] })
  expect(no.exit).toBe(1)
  expect(no.calls.map((call) => call.route)).toEqual(['showRequest'])
})

test('a vote without a person needs no question', async () => {
  const result = await run(['request', 'review', 'req_1', '--deny', '--reason=no'], {
    showRequest: () => aRequest(),
    review: () => aRequest({ state: 'denied' }),
  })
  expect(result.exit).toBe(0)
  expect(result.calls[1]?.body).toMatchObject({ decision: 'deny', reason: 'no' })
})

test.each([[[]], [['--approve', '--deny']]])('a vote with %j is wrong usage', async (flags) => {
  expect((await run(['request', 'review', 'req_1', ...flags], {})).exit).toBe(2)
})

test('a request that changed in between is refused with exit code 8', async () => {
  const result = await run(['request', 'review', 'req_1', '--approve'], {
    showRequest: () => aRequest(),
    review: () => {
      throw new Refused('request_changed', 'the rules have changed since', 'Run: sally request show req_1')
    },
  })
  expect(result.exit).toBe(8)
  expect(result.stderr).toBe('sally: the rules have changed since\n  Run: sally request show req_1\n')
})

test('without an account every command says how to sign in', async () => {
  using temp = tempFolder()
  const { systemDial } = await import('../../shared/dial.ts')
  const result = await commandLine(['request', 'ls'], {
    program: sally,
    api: fakeApi({}),
    folder: temp.file('none'),
    extra: { dial: systemDial() },
  })
  expect(result.exit).toBe(5)
  expect(result.stderr).toContain('sally login')
})

test.each([
  [['request', 'creat'], 'create'],
  [['request', 'ls', '--revewable'], '--reviewable'],
  [['reqest'], 'request'],
])('%j is answered with what was probably meant', async (args, meant) => {
  const result = await run(args, {})
  expect(result.exit).toBe(2)
  expect(result.stderr).toContain(meant)
})

test('every command shows examples in its help', async () => {
  const result = await run(['request', 'create', '--help'], {})
  expect(result.exit).toBe(0)
  expect(result.stdout).toContain('Examples:\n  sally request create --roles=dba')
})
