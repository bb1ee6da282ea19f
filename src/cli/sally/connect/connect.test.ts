import { expect, test } from 'vitest'
import { aGrant, aRequest, aReview } from '../../../../test/support/a-request.ts'
import { commandLine, NOW, signedInFolder, type CommandLineOptions } from '../../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import type { AccessCheck, AskWay } from '../../../contract/access-check.ts'
import { AccessRequest } from '../../../contract/request.ts'
import { Refused } from '../../../foundation/errors.ts'
import { openProfiles } from '../../shared/profile.ts'
import { sally } from '../program.ts'

const HOUR = 3_600_000
const dba: AskWay = {
  roles: ['dba'],
  resources: [],
  narrowing: null,
  logins: ['postgres'],
  longest: 4 * HOUR,
  reason: { required: true, prompt: 'Ticket number' },
}
const root: AskWay = {
  roles: ['root-on-db'],
  resources: [{ kind: 'node', name: 'db-box' }],
  narrowing: { login: 'postgres' },
  logins: ['postgres', 'root'],
  longest: HOUR / 2,
  reason: { required: false, prompt: null },
}
const refused = (changes: Partial<Extract<AccessCheck, { ok: false }>> = {}): AccessCheck => ({
  ok: false,
  code: 'access_denied',
  lines: ['sallyport: alice may not use db-box', '  This role would help: dba'],
  ways: [dba],
  pending: null,
  ...changes,
})
const allowed: AccessCheck = { ok: true, login: 'postgres', endsAt: NOW + HOUR }
const approved = aRequest({ version: 2, state: 'approved', resolution: 'approved by bob', grant: aGrant({}) })

async function run(
  args: readonly string[],
  handlers: FakeHandlers,
  rest: Partial<Omit<CommandLineOptions, 'program' | 'api' | 'folder'>> = {},
) {
  using temp = tempFolder()
  const folder = await signedInFolder(temp.path)
  await openProfiles(folder).write('ssh_config', 'Host db-box\n  User +db-box\nHost web-box\n  User +web-box\n')
  const api = fakeApi(handlers)
  const result = await commandLine(args, { program: sally, api, folder, ...rest })
  return { ...result, calls: api.calls, routes: api.calls.map((call) => call.route) }
}

/** Refused until a request was approved. */
function house(decisions: readonly ReturnType<typeof aRequest>[], check: AccessCheck = refused()): FakeHandlers {
  const left = [...decisions]
  let open = false
  return {
    checkAccess: () => (open ? allowed : check),
    ask: () => ({ request: aRequest(), preview, existing: false }),
    watchRequest: () => {
      const next = left.shift() ?? approved
      open = next.state === 'approved'
      return next
    },
  }
}
const preview = {
  roles: ['dba'],
  resources: [],
  narrowing: null,
  duration: HOUR,
  longest: HOUR,
  reviewers: [],
  approvalsNeeded: [],
  warnings: [],
}

test('where access is there, ssh runs after one question to the proxy, and nothing is shown', async () => {
  const result = await run(['ssh', 'root@db-box', 'uptime'], { checkAccess: () => allowed }, { answers: [] })
  expect(result.executed).toEqual([['ssh', '-F', expect.any(String), 'root@db-box', 'uptime']])
  expect(result.calls.map((call) => call.request.target)).toEqual(['/v1/nodes/db-box/access?login=root'])
  expect(result.stderr + result.stdout).toBe('')
})

test('a refused person is asked for role, reason and duration; ssh runs by itself when it is approved', async () => {
  const half = aRequest({ version: 2, reviews: [aReview('carol', 'approve', 'fine')], reviewers: ['bob'] })
  const result = await run(['ssh', 'db-box', 'uptime'], house([half]), { answers: [true, 'ticket 7', '2h'] })
  expect(result.asked).toEqual([
    'Ask for dba (postgres; up to 4h)?',
    'Ticket number',
    'For how long? Up to 4h; Enter for 1h',
  ])
  expect(result.calls.find((call) => call.route === 'ask')?.body).toEqual({
    roles: ['dba'],
    resources: [],
    reason: 'ticket 7',
    duration: 2 * HOUR,
  })
  expect(result.executed).toHaveLength(1)
  expect(result.exit).toBe(0)
  // The output belongs to the command that is run.
  expect(result.stdout).toBe('')
  expect(result.stderr).toMatchInlineSnapshot(`
    "alice may not use db-box
    Seeking request approval... (req_1)
    0 of 2 approvals for dba (dba team); can answer: bob, carol
    carol approved dba: "fine"
    0 of 2 approvals for dba (dba team); can answer: bob
    Request approved: approved by bob
    "
  `)
})

test('of several ways one is chosen by its number; Enter asks for none of them', async () => {
  const check = refused({ ways: [dba, root] })
  const second = await run(['ssh', 'db-box'], house([], check), { answers: ['3', '2', '', ''] })
  expect(second.stderr).toContain('  2  node/db-box by root-on-db (postgres, root; up to 30m)')
  expect(second.calls.find((call) => call.route === 'ask')?.body).toMatchObject({
    roles: ['root-on-db'],
    resources: ['node/db-box'],
    narrowing: { login: 'postgres' },
    reason: '',
    duration: HOUR / 2,
  })
  const none = await run(['ssh', 'db-box'], house([], check), { answers: [''] })
  expect(none).toMatchObject({ exit: 3, executed: [] })
  expect(none.routes).toEqual(['checkAccess'])
})

test('whoever declines is refused, and nothing is asked', async () => {
  const result = await run(['ssh', 'db-box'], house([]), { answers: [false] })
  expect(result).toMatchObject({ exit: 3, executed: [], routes: ['checkAccess'] })
})

test('a required reason is asked for again, three times at most', async () => {
  const result = await run(['ssh', 'db-box'], house([]), { answers: [true, '', ' ', ''] })
  expect(result).toMatchObject({ exit: 2, executed: [], routes: ['checkAccess'] })
})

test('a duration that is none, or too long, is asked for again', async () => {
  const result = await run(['ssh', 'db-box'], house([]), { answers: [true, 'why', 'soon', '5h', '3h'] })
  expect(result.calls.find((call) => call.route === 'ask')?.body).toMatchObject({ duration: 3 * HOUR })
  expect(result.stderr).toContain('at most 4h')
})

test('without a person it is the stock ssh with its plain refusal; the proxy is not even asked', async () => {
  const result = await run(['ssh', 'db-box', 'uptime'], {})
  expect(result.routes).toEqual([])
  expect(result.executed).toHaveLength(1)
})

test('--request asks without questions, tells in plain lines how it goes, and runs the command', async () => {
  const half = aRequest({ version: 2, reviews: [aReview('carol')], reviewers: ['bob'] })
  const words = ['ssh', '--request', '--reason=nightly', '--duration=30m', 'db-box', 'uptime', '--reason=not ours']
  const result = await run(words, house([half]))
  expect(result.calls.find((call) => call.route === 'ask')?.body).toMatchObject({
    reason: 'nightly',
    duration: HOUR / 2,
  })
  expect(result.executed).toEqual([['ssh', '-F', expect.any(String), 'db-box', 'uptime', '--reason=not ours']])
  expect(result.stderr).not.toContain('\u001b')
  expect(result.stderr).toContain('carol approved dba\n')
})

test('--request without a reason where one is required is refused by the proxy, and nothing runs', async () => {
  const result = await run(['ssh', '--request', 'db-box'], {
    ...house([]),
    ask: () => {
      throw new Refused('reason_required', 'a reason is required: Ticket number', 'give --reason="..."')
    },
  })
  expect(result).toMatchObject({ exit: 2, executed: [] })
})

test('a request that is pending already is waited for; nothing is asked a second time', async () => {
  const check = refused({ pending: AccessRequest.parse(aRequest()) })
  const result = await run(['ssh', 'db-box'], house([], check), { answers: [] })
  expect(result.routes).toEqual(['checkAccess', 'watchRequest', 'checkAccess'])
  expect(result.stderr).toContain('you have asked already: req_1')
  expect(result.executed).toHaveLength(1)
})

test.each([
  ['denied', 3],
  ['cancelled', 4],
  ['expired', 4],
] as const)('a request that ends %s runs nothing and exits with %i', async (state, exit) => {
  const end = aRequest({ version: 2, state, resolution: `${state} by bob` })
  const result = await run(['ssh', 'db-box'], house([end]), { answers: [true, 'why', ''] })
  expect(result).toMatchObject({ exit, executed: [] })
  expect(result.stderr).toContain(`Request ${state}: ${state} by bob`)
})

test('approved for later runs nothing now and says why', async () => {
  const later = refused({ lines: ['sallyport: your access starts at 15:00'], ways: [] })
  const checks = [refused(), later]
  const result = await run(
    ['ssh', 'db-box'],
    { ...house([approved]), checkAccess: () => checks.shift() ?? later },
    { answers: [true, 'why', ''] },
  )
  expect(result).toMatchObject({ exit: 3, executed: [] })
  expect(result.stderr).toContain('your access starts at 15:00')
})

test('Ctrl-C leaves the request open and says how to go on', async () => {
  const interrupt = new AbortController()
  const result = await run(
    ['ssh', 'root@db-box', 'echo it’s'],
    {
      ...house([]),
      watchRequest: () => {
        interrupt.abort(new Error('Ctrl-C'))
        throw interrupt.signal.reason as Error
      },
    },
    { answers: [true, 'why', ''], interrupted: interrupt.signal },
  )
  expect(result.executed).toEqual([])
  expect(result.stderr).toContain("To go on: sally ssh root@db-box 'echo it’s'\n")
  expect(result.stderr).toContain('sally request cancel req_1')
})

test('what cannot be helped by asking is for ssh to tell', async () => {
  const locked = refused({ code: 'locked', lines: ['sallyport: db-box is locked'], ways: [] })
  const result = await run(['ssh', 'db-box'], { checkAccess: () => locked }, { answers: [] })
  expect(result.executed).toHaveLength(1)
})

test('a daemon without this route does not stand in the way of ssh', async () => {
  const absent = (): never => {
    throw new Refused('not_found', 'there is no such route')
  }
  const result = await run(['ssh', 'db-box'], { checkAccess: absent }, { answers: [] })
  expect(result.executed).toHaveLength(1)
})

test('scp asks for each server it touches', async () => {
  const seen: string[] = []
  const result = await run(
    ['scp', '-3', 'root@db-box:/etc/motd', 'web-box:/tmp/'],
    {
      checkAccess: ({ params }) => {
        seen.push(params['name'] ?? '')
        return allowed
      },
    },
    { answers: [] },
  )
  expect(seen).toEqual(['db-box', 'web-box'])
  expect(result.executed[0]?.[0]).toBe('scp')
})

test('on a terminal the status is drawn in its place, and a hostile name in it moves nothing', async () => {
  const clock = new ManualClock(NOW)
  const half = aRequest({ version: 2, reviews: [aReview('carol', 'approve', 'ok\u001b[2J')], reviewers: ['bob'] })
  const steps = [half, approved]
  const handlers = house([])
  const result = await run(
    ['ssh', 'db-box'],
    {
      ...handlers,
      watchRequest: async () => {
        clock.advance(1000)
        return steps.shift() ?? approved
      },
      checkAccess: () => (steps.length === 0 ? allowed : refused()),
    },
    { answers: [true, 'why', ''], columns: 60, clock },
  )
  const drawn = result.stderr.slice(result.stderr.indexOf('Seeking'))
  expect(drawn.replaceAll('\r\u001b[K', '<draw>')).toMatchInlineSnapshot(`
    "Seeking request approval... (req_1)
    <draw>0:00  0 of 2 approvals for dba (dba team); can answer: bob…<draw>0:01  0 of 2 approvals for dba (dba team); can answer: bob…<draw>carol approved dba: "ok\\x1b[2J"
    <draw>0:01  0 of 2 approvals for dba (dba team); can answer: bob…<draw>0:01  0 of 2 approvals for dba (dba team); can answer: bob<draw>0:02  0 of 2 approvals for dba (dba team); can answer: bob<draw>Request approved: approved by bob
    "
  `)
})
