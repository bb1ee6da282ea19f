// The commands of chat as people type them: linking accounts, looking after integrations, tokens for programs. Against the real
// daemon with a Slack.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT } from '../../src/contract/errors.ts'
import type { Account } from '../support/account.ts'
import type { Finished } from '../support/run.ts'
import { CHANNEL, SlackHouse } from '../support/slack/slack-house.ts'
import { openTerminal } from '../support/terminal.ts'

let house: SlackHouse
let alice: Account
let bob: Account
beforeAll(async () => {
  house = await SlackHouse.open('http')
  ;({ alice, bob } = house.accounts)
})
afterAll(() => house?.[Symbol.asyncDispose]())

const admin = (...args: string[]): Promise<Finished> => house.sallyport.admin(...args)
/** Exit code and what was said, on both sides. */
const told = ({ code, stdout, stderr }: Finished): [number, string] => [code ?? -1, `${stdout}${stderr}`.trim()]
const idIn = ({ stdout, stderr }: Finished): string =>
  /\b(cha|tok)_[0-9a-f-]{36}\b/.exec(`${stdout}${stderr}`)?.[0] ?? ''

let newcomers = 0
/** A code that `/access link` shows to an account of its own. */
async function newCode(): Promise<string> {
  const user = `U0NEW${(newcomers += 1)}`
  house.slack.workspace.addUser(user, `newcomer-${newcomers}`)
  const said = await house.slack.command(user, CHANNEL, 'link')
  return /\/link\/([0-9a-z-]+)/.exec(said.body)?.[1] ?? ''
}

/** What stands on a screen of 80 columns, without what tmux says of the end. */
async function screenOf(command: readonly [string, ...string[]], env: Account['env'] = {}): Promise<string> {
  const given = Object.fromEntries(
    Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
  await using terminal = await openTerminal(command, { columns: 80, env: given })
  await terminal.exitStatus()
  return (await terminal.screen()).replace(/\s+Pane is dead.*$/s, '')
}

test('a code is shown with whose account it is, and links nothing until somebody says yes', async () => {
  const code = await newCode()
  expect(told(await alice.sally('chat', 'link', code))).toEqual([
    EXIT.usage,
    `This code was shown to: newcomer-${newcomers} (U0NEW${newcomers}) at slack, T0ACME\nsally: nobody is there to be asked\n  Add --yes if this is your own account.`,
  ])
  await using terminal = await alice.terminal('sally', 'chat', 'link', code)
  await terminal.shows(/Is it your own account\?/)
  await terminal.type('n\r')
  await terminal.shows(/Nothing was linked/)
  expect(await terminal.exitStatus()).toBe(0)
  const linked = await alice.sally('chat', 'link', code.toUpperCase().replaceAll('-', ''), '--yes', '--format=json')
  expect([linked.code, linked.stderr]).toEqual([0, ''])
  expect(JSON.parse(linked.stdout)).toMatchObject({
    user: 'alice',
    integration: 'slack',
    externalId: `U0NEW${newcomers}`,
  })
  expect(told(await alice.sally('chat', 'link', code, '--yes'))).toEqual([
    EXIT.notFound,
    'sally: that code is unknown, used or older than ten minutes\n  get another: /access link',
  ])
})

test('linked accounts are listed and parted by whoever they are linked with, and others learn nothing of them', async () => {
  const [mine] = JSON.parse((await alice.sally('chat', 'accounts', '--format=json')).stdout) as { id: string }[]
  const id = mine?.id ?? ''
  const unknown = [EXIT.notFound, 'sally: no account with that id is linked with you\n  run: sally chat accounts']
  expect(told(await bob.sally('chat', 'unlink', id))).toEqual(unknown)
  expect(told(await bob.sally('chat', 'unlink', 'cha_made-up'))).toEqual(unknown)
  const [denied, why] = told(await bob.sally('chat', 'accounts', '--all'))
  expect([denied, why]).toEqual([EXIT.notAllowed, expect.stringContaining('ask an administrator')])
  const shown = await screenOf([...alice.command('sally'), 'chat', 'accounts'], alice.env)
  expect(shown).toContain(`Account: ${id}`)
  expect(shown).toContain('Name there: alice-in-slack')
  const last = await alice.sally('chat', 'link', await newCode(), '--yes')
  expect(told(await alice.sally('chat', 'unlink', idIn(last)))).toEqual([0, `${idIn(last)} does nothing any more.`])
})

test('integrations are listed, looked at, checked and tried again, and a wrong name says where the right ones are', async () => {
  const line = (await admin('integration', 'ls')).stdout.split('\n')[2] ?? ''
  expect(line).toMatch(/^slack +slack +sending +0 +0 +/)
  expect(
    await screenOf([...alice.command('sallyctl'), 'integration', 'ls', `--socket=${house.sallyport.adminSocket}`]),
  ).toMatch(/^Name +Vendor +State +Waiting +Given up +Last delivered +Why\n/)
  expect(JSON.parse((await admin('integration', 'status', 'slack', '--format=json')).stdout)).toMatchObject([
    { name: 'slack', state: 'sending', dead: 0 },
  ])
  const checked = await admin('integration', 'check', 'slack')
  expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining(`channel ${CHANNEL} can be written to`)])
  expect(told(await admin('integration', 'retry', 'slack'))).toEqual([
    0,
    'slack has given nothing up, and is not broken.',
  ])
  for (const verb of ['status', 'check', 'retry']) {
    const [exit, said] = told(await admin('integration', verb, 'slak'))
    expect([exit, said]).toEqual([
      EXIT.notFound,
      expect.stringMatching(/no integration "slak"\.?\n {2}[Rr]un: sallyctl /),
    ])
  }
  expect(told(await admin('integration', 'retry', 'slack', '--message=msg_x'))[0]).toBe(EXIT.notFound)
})

test('whom a request would reach is shown for a role and for somebody', async () => {
  const found = await admin('integration', 'preview', 'dba', '--user=alice')
  expect(found.stdout).toMatch(/slack +user:bob +reviewer +at once/)
  expect(found.stdout).toContain('1 reviewer is told in person.')
  expect(JSON.parse((await admin('integration', 'preview', 'dba', '--format=json')).stdout)).toMatchObject({
    items: expect.arrayContaining([expect.objectContaining({ destination: `channel:${CHANNEL}` })]) as unknown,
  })
  expect(told(await admin('integration', 'preview', 'dbb'))).toEqual([
    EXIT.notFound,
    'sallyctl: there is no role "dbb"\n  run: sallyctl get role',
  ])
  expect(told(await admin('integration', 'preview', 'dba', '--user=alcie'))[1]).toContain('run: sallyctl users ls')
})

test('who operates nothing is told so, for each of them', async () => {
  const calls = [
    ['integration', 'ls'],
    ['integration', 'status'],
    ['integration', 'check', 'slack'],
    ['integration', 'retry', 'slack'],
    ['integration', 'preview', 'dba'],
    ['tokens', 'ls'],
    ['tokens', 'rm', 'tok_x'],
    ['tokens', 'add', 'x', '--scope=requests:read'],
  ]
  for (const args of calls) {
    const refused = await alice.sallyctl(...args)
    expect([args, refused.code, refused.stdout]).toEqual([args, EXIT.notAllowed, ''])
    expect(refused.stderr).toMatch(/none of your own roles allows \w+ on (integration|token)\n {2}ask an administrator/)
  }
})

test('a token is printed once and alone, so that it can be sent to a file, and is listed without it', async () => {
  const made = await admin('tokens', 'add', 'bot', '--scope=requests:read', '--owner=bob', '--note=nightly')
  expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^sally_service_[\w-]{43}\n$/)])
  expect(made.stderr).toMatch(
    /^tok_[0-9a-f-]{36} of bot \(owner bob\), until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\. Shown once:\n$/,
  )
  const listed = await admin('tokens', 'ls')
  expect(listed.stdout).toContain('nightly')
  expect(listed.stdout + (await admin('tokens', 'ls', '--format=yaml')).stdout).not.toContain(made.stdout.trim())
  const narrow = await screenOf([
    ...alice.command('sallyctl'),
    'tokens',
    'ls',
    `--socket=${house.sallyport.adminSocket}`,
  ])
  expect(narrow).toContain(`Token: ${idIn(made)}`)
  expect(told(await admin('tokens', 'rm', idIn(made)))).toEqual([0, `${idIn(made)} was removed.`])
  expect(told(await admin('tokens', 'rm', idIn(made)))).toEqual([
    EXIT.notFound,
    'sallyctl: there is no such token\n  run: sallyctl tokens ls',
  ])
})

test.each([
  [['--scope=everything', '--owner=bob'], EXIT.usage, /"everything" is no scope\n {2}Scopes: requests:read, /],
  [['--scope=requests:read'], EXIT.usage, /belongs to a person\n {2}name one: --owner=USER/],
  [['--scope=requests:read', '--owner=nobody'], EXIT.notFound, /run: sallyctl users ls/],
  [['--scope=requests:read', '--owner=bob', '--roles=nope'], EXIT.notFound, /run: sallyctl get role/],
  [['--scope=requests:read', '--owner=bob', '--ttl=500d'], EXIT.usage, /--ttl: a duration is at most 366 days/],
  [['--scope=requests:read', '--owner=bob', '--trait=team'], EXIT.usage, /"team" is not of the form name=value/],
])('sallyctl tokens add other-bot %j makes nothing and says what to do', async (options, exit, said) => {
  const refused = await admin('tokens', 'add', 'other-bot', ...options)
  expect([refused.code, refused.stdout]).toEqual([exit, ''])
  expect(refused.stderr).toMatch(said)
})

test('none of these left an account behind', async () => {
  expect((await admin('users', 'ls')).stdout).not.toContain('other-bot')
})

test('a vendor that is away fails the check with a reason for each thing', async () => {
  await house.slack.stop()
  const checked = await admin('integration', 'check', 'slack')
  expect(checked.code).toBe(EXIT.failed)
  expect(checked.stdout).toMatch(/^FAIL {2}the bot token: Slack cannot be reached/)
  expect(JSON.parse((await admin('integration', 'check', 'slack', '--format=json')).stdout)).toMatchObject([
    { ok: false },
    {},
  ])
})
