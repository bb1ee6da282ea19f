import { expect, test } from 'vitest'
import { commandLine, NOW, signedInFolder } from '../../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import { Refused } from '../../../foundation/errors.ts'
import { sally } from '../program.ts'

const records = [
  { kind: 'start', at: 0, session: 'ses_1', user: 'alice', node: 'db-box', login: 'root', time: NOW },
  { kind: 'exec', at: 1, channel: 0, command: 'uptime\x1b[2J' },
  { kind: 'output', at: 2, channel: 0, stream: 'stdout', bytes: Buffer.from('up 3 days\n').toString('base64') },
  { kind: 'end', at: 3, reason: 'closed' },
]

async function run(args: readonly string[], handlers: FakeHandlers) {
  using temp = tempFolder()
  const api = fakeApi(handlers)
  return commandLine(args, { program: sally, api, folder: await signedInFolder(temp.path) })
}

const play = (lines: readonly unknown[]): FakeHandlers => ({
  playSession: () => ({
    lines: (async function* () {
      yield* lines
    })(),
  }),
})

test('play prints what happened, with no byte that could move the terminal', async () => {
  const { exit, stdout } = await run(['play', 'ses_1', '--speed=2', '--skip-idle'], play(records))
  expect(exit).toBe(0)
  expect(stdout).toContain('up 3 days')
  expect(stdout).not.toContain('\x1b[2J')
})

test('play --format=json gives one record a line', async () => {
  const { stdout } = await run(['play', 'ses_1', '--format=json'], play(records))
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual(records)
})

test.each([
  [['--speed=0'], 2],
  [['--speed=x'], 2],
  [['--real-time', '--skip-idle'], 2],
  [['--format=yaml'], 2],
  [['--max-idle=1'], 2],
])('play with %j exits with %i and asks for nothing', async (flags, exit) => {
  expect((await run(['play', 'ses_1', ...flags], {})).exit).toBe(exit)
})

test('a record of an unknown kind ends the replay, as does a refusal', async () => {
  expect((await run(['play', 'ses_1'], play([{ kind: 'hologram', at: 0 }]))).exit).toBe(1)
  const refused = await run(['play', 'ses_1'], {
    playSession: () => {
      throw new Refused('not_found', 'no such session')
    },
  })
  expect([refused.exit, refused.stdout]).toEqual([7, ''])
})

test('recordings ls tells what each recording holds', async () => {
  const { stdout } = await run(['recordings', 'ls', '--node=db-box'], {
    listSessions: ({ query }) => ({
      items: [
        {
          id: 'ses_1',
          user: 'alice',
          protocol: 'ssh',
          resource: { kind: 'node', id: 'nod_1', name: query.node ?? '' },
          login: 'root',
          address: '192.0.2.1',
          requests: [],
          grants: [],
          startedAt: NOW - 90_000,
          endedAt: null,
          endReason: null,
          recording: { state: 'cut_short', bytes: 1, head: null, contents: ['shell', 'scp'] },
        },
      ],
      next: null,
    }),
  })
  expect(stdout).toMatchInlineSnapshot(`
    "Session  User   On           Started              Lasted  Holds       State
    -------  -----  -----------  -------------------  ------  ----------  ---------
    ses_1    alice  root@db-box  2026-01-01 11:58:30  1m30s   shell, scp  cut short
    "
  `)
})

const session = {
  id: 'ses_1',
  user: 'alice',
  protocol: 'ssh',
  resource: { kind: 'node', id: 'nod_1', name: 'db-box' },
  login: 'root',
  address: '192.0.2.1',
  requests: [],
  grants: [],
  startedAt: NOW,
  endedAt: NOW,
  endReason: null,
  recording: { state: 'complete', bytes: 1, head: null, contents: ['statements'] },
} as const

const searching = (pages: readonly object[]): FakeHandlers => {
  let asked = 0
  return {
    searchRecordings: ({ query }) => {
      const page = { items: [], searched: 1, unreadable: [], withheld: 0, ...pages[asked++] }
      expect(query.cursor).toBe(asked === 1 ? undefined : String(asked - 1))
      return { ...page, next: asked < pages.length ? String(asked) : null }
    },
  }
}

test('recordings search follows its pages and shows matches as harmless lines', async () => {
  const match = { at: 1, kind: 'statement', number: 3, excerpt: 'select \x1b[2J\nfrom orders' }
  const { exit, stdout } = await run(
    ['recordings', 'search', 'orders'],
    searching([{}, { items: [{ session, matches: [match], more: 2 }] }, { unreadable: ['ses_2'], withheld: 1 }]),
  )
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "ses_1  2026-01-01 12:00:00  alice on root@db-box
      #3 select \\x1b[2J\\nfrom orders
      and 2 more

    Found in 1 session; 3 recordings looked into.
    1 recording of others: sign in with a second factor to search them.
    ses_2: its recording cannot be read; sallyctl audit verify checks everything
    "
  `)
})

test('recordings search stops at its limit and says that it did', async () => {
  const item = { session, matches: [], more: 0 }
  const { stdout } = await run(
    ['recordings', 'search', 'orders', '--limit=1'],
    searching([{ items: [item, item] }, {}]),
  )
  expect(stdout).toContain('Older sessions were not looked at')
  expect((await run(['recordings', 'search', 'orders', '--limit=0'], {})).exit).toBe(2)
})
