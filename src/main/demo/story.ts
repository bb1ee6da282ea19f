import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { sleep, type Clock } from '../../foundation/clock.ts'
import { startCommand, type Outcome, type StartedCommand } from './child.ts'
import type { House } from './house.ts'
import type { Inbox } from './inbox.ts'
import type { Actor, Stage } from './stage.ts'
import { environmentOf } from './wrappers.ts'

/** A promise of the story that was not kept. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed'
}

export interface Theatre {
  readonly house: House
  readonly stage: Stage
  readonly inbox: Inbox
  readonly clock: Clock
}

/** What the steps hand on to each other. */
interface Plot {
  waiting?: StartedCommand
  request: string
  shell?: StartedCommand
  session: string
}

interface Step {
  readonly heading: string
  readonly play: (theatre: Theatre, plot: Plot) => Promise<void>
}

export const STEPS: readonly Step[] = [
  { heading: '1  alice tries the database server and is told how to ask', play: isRefused },
  { heading: '2  alice asks, and waits', play: asks },
  { heading: '3  bob and carol are told; dba needs two approvals', play: isReviewed },
  { heading: '4  the same plain ssh works: no new login, no new certificate', play: connects },
  { heading: '5  bob revokes; the open shell closes and says why', play: isRevoked },
  { heading: '6  what happened can be replayed, searched and proven', play: isProven },
]

/** Plays all steps. Throws StepFailed naming the step that broke its promise. */
export async function playStory(theatre: Theatre): Promise<void> {
  const plot: Plot = { request: '', session: '' }
  try {
    for (const step of STEPS) {
      theatre.stage.heading(step.heading)
      try {
        await step.play(theatre, plot)
      } catch (error) {
        throw new StepFailed(`step "${step.heading}": ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    }
  } finally {
    plot.waiting?.kill()
    plot.shell?.kill()
  }
}

async function isRefused(theatre: Theatre): Promise<void> {
  const done = await types(theatre, 'alice', 'ssh db-box', inTerminal('ssh db-box'))
  expect(done.code === 255, `ssh was to be refused, but exited ${done.code}`)
  expect(done.output.includes('dba'), 'the refusal does not name the role dba')
  expect(/sally request create --roles=\S*dba/.test(done.output), 'the refusal does not say how to ask')
  theatre.stage.done('refused, with the role that would help and the command that asks for it')
}

async function asks(theatre: Theatre, plot: Plot): Promise<void> {
  const command = 'sally request create --roles=dba --reason="ticket #1234" --duration=1h'
  plot.waiting = begins(theatre, 'alice', command)
  await until(
    theatre,
    'the request waits',
    () => plot.waiting?.output().includes('Seeking request approval...') ?? false,
  )
  plot.request = /\breq_[0-9a-f-]{36}\b/.exec(plot.waiting.output())?.[0] ?? ''
  expect(plot.request !== '', 'the request has no id')
  theatre.stage.done('the request is filed; the command waits for its answer')
}

async function isReviewed(theatre: Theatre, plot: Plot): Promise<void> {
  const { stage, inbox } = theatre
  const told = (line: string): boolean => ['bob', 'carol', 'alice asks for dba'].every((part) => line.includes(part))
  await until(theatre, 'bob and carol are told', () => inbox.lines.some(told))

  const own = await types(theatre, 'alice', `sally request review ${plot.request} --approve --reason="it is urgent"`)
  expect(own.code === 6, `alice's own vote exited ${own.code}, not 6 (not allowed)`)
  stage.done('nobody approves a request of their own')

  const list = await types(theatre, 'bob', 'sally request ls --reviewable', inTerminal('sally request ls --reviewable'))
  expect(list.code === 0 && list.output.includes('alice'), 'bob does not see the request')
  const shown = await types(theatre, 'bob', `sally request show ${plot.request}`)
  expect(shown.code === 0 && shown.output.includes('ticket #1234'), 'bob does not see the reason')
  const first = await types(theatre, 'bob', `sally request review ${plot.request} --approve --reason="go ahead"`)
  expect(first.code === 0, `bob's vote exited ${first.code}`)
  const early = await quietly(theatre, 'alice', 'ssh db-box true')
  expect(early.code === 255, 'one approval of two already opened the door')
  stage.done('one approval of two: still closed')

  const second = await types(theatre, 'carol', `sally request review ${plot.request} --approve --reason="seen it"`)
  expect(second.code === 0, `carol's vote exited ${second.code}`)
}

async function connects(theatre: Theatre, plot: Plot): Promise<void> {
  const { stage, clock } = theatre
  const decided = await within(theatre, 5000, 'the waiting command ends', plot.waiting?.ended)
  expect(decided.code === 0 && /approved/i.test(decided.output), 'the waiting command does not say that it is approved')
  stage.done('the waiting command says so and ends')

  plot.shell = begins(theatre, 'alice', 'ssh db-box', inTerminal('ssh db-box'))
  await until(theatre, 'a shell opens', () => plot.shell?.output().includes('db-box$') ?? false)
  for (const line of ['whoami', 'cat orders.csv', 'echo "orders: $(tail -n +2 orders.csv | wc -l)"']) {
    await sleep(clock, 400)
    plot.shell.write(`${line}\n`)
  }
  await until(theatre, 'the shell answers', () => plot.shell?.output().includes('orders: 3') ?? false)
  stage.done('a shell on db-box, over stock ssh and stock sshd')

  const copied = join(theatre.house.layout.account('alice').home, 'orders.csv')
  const copy = await types(theatre, 'alice', 'scp -q db-box:orders.csv .')
  expect(copy.code === 0 && existsSync(copied), `scp exited ${copy.code}`)
  stage.done('scp too, and sftp, rsync and git: whatever runs over ssh')
}

async function isRevoked(theatre: Theatre, plot: Plot): Promise<void> {
  const { stage, clock } = theatre
  const list = await types(theatre, 'bob', 'sallyctl request ls', inTerminal('sallyctl request ls'))
  for (const column of ['Token', 'Requestor', 'Metadata', 'Created At (UTC)', 'Status'])
    expect(list.output.includes(column), `sallyctl request ls has no column ${column}`)
  const { shell } = plot
  if (!shell) throw new StepFailed('no shell is open')
  const closing = shell.ended.then((outcome) => ({ ...outcome, at: clock.monotonic() }))
  const revoked = await types(theatre, 'bob', `sallyctl request revoke ${plot.request} --reason="maintenance begins"`)
  const revokedAt = clock.monotonic()
  expect(revoked.code === 0, `revoke exited ${revoked.code}`)
  const closed = await within(theatre, 1000, 'the shell closes', closing)
  const late = Math.round(closed.at - revokedAt)
  stage.done(
    late > 0 ? `the open shell closed ${late} ms later` : 'the open shell had closed before the command came back',
  )
  expect(/revoked/i.test(closed.output), 'the terminal does not say why it was closed')
  const again = await quietly(theatre, 'alice', 'ssh db-box true')
  expect(again.code === 255, 'ssh still works after the revocation')
  stage.done('its terminal says why, and ssh db-box is refused again')
}

const Recordings = z.array(
  z.object({ id: z.string(), startedAt: z.number(), recording: z.object({ contents: z.array(z.string()) }) }),
)

async function isProven(theatre: Theatre, plot: Plot): Promise<void> {
  const { stage, house } = theatre
  const listed = await quietly(theatre, 'alice', 'sally recordings ls --format=json')
  const shell = Recordings.parse(JSON.parse(listed.stdout)).find(({ recording }) =>
    recording.contents.includes('shell'),
  )
  plot.session = shell?.id ?? ''
  expect(plot.session !== '', 'the recording of the shell is not listed')
  const played = await types(theatre, 'alice', `sally play ${plot.session} --speed=4 --skip-idle`)
  expect(played.code === 0 && played.output.includes('orders: 3'), 'the replay does not show what was done')
  stage.done('the session replays like a film')

  const search = `sallyctl audit search --request=${plot.request}`
  const story = await types(theatre, 'operator', search, inTerminal(search))
  for (const type of ['create', 'review', 'approve'].map((verb) => `access_request.${verb}`))
    expect(story.output.includes(type), `the audit log lacks ${type}`)
  for (const type of ['grant.start', 'session.start', 'session.end', 'grant.revoke'])
    expect(story.output.includes(type), `the audit log lacks ${type}`)
  const whole = await types(theatre, 'operator', 'sallyctl audit verify')
  expect(whole.code === 0, `verify exited ${whole.code} over an untouched log`)
  stage.done('every deed is in one chain, and the chain is whole')

  stage.remark("Somebody who can write the database puts mallory in bob's place (in a copy, so that you can go on):")
  const copy = await editedCopy(house)
  const trust = '--trust=edited/checkpoint.pub --checkpoints=edited/checkpoints.jsonl'
  const altered = await types(theatre, 'operator', `sallyctl audit verify --database=edited/sallyport.db ${trust}`)
  expect(altered.code === 9, `verify exited ${altered.code} over an edited log, not 9 (altered)`)
  rmSync(copy, { recursive: true })
  stage.done('the edit is found, and the event is named')
}

/** `edited/` in the operator's home: the database with one event changed, and what was kept outside it. */
async function editedCopy({ layout, api }: House): Promise<string> {
  const folder = join(layout.account('operator').home, 'edited')
  mkdirSync(folder, { recursive: true })
  const database = join(folder, 'sallyport.db')
  const original = new DatabaseSync(layout.database, { readOnly: true })
  original.exec(`VACUUM INTO '${database.replaceAll("'", "''")}'`)
  original.close()
  const edited = new DatabaseSync(database)
  edited.exec(
    `UPDATE audit_events SET actor_json = replace(actor_json, '"bob"', '"mallory"') WHERE type = 'grant.revoke'`,
  )
  edited.close()
  const { items } = await api.listAuthorities({})
  writeFileSync(join(folder, 'checkpoint.pub'), `${items.find(({ kind }) => kind === 'checkpoint')?.public ?? ''}\n`)
  copyFileSync(layout.checkpointFile, join(folder, 'checkpoints.jsonl'))
  return folder
}

/** `shown` is what the audience reads; `real` is what runs, when a terminal has to be put around it. */
function begins({ house, stage }: Theatre, actor: Actor, shown: string, real: string = shown): StartedCommand {
  stage.typed(actor, shown)
  const voice = stage.voice(actor)
  const started = startCommand(['bash', '-c', real], environmentOf(house.layout, actor), {
    cwd: house.layout.account(actor).home,
    onText: voice.say,
  })
  void started.ended.then(voice.end)
  return started
}

/** As in a terminal of its own, as wide as what the stage leaves beside the actor's name. */
const inTerminal = (command: string): string =>
  `script -qefc 'stty cols ${Math.max(80, (process.stdout.columns ?? 110) - 11)} rows 30; ${command}' /dev/null`

async function types(theatre: Theatre, actor: Actor, shown: string, real?: string): Promise<Outcome> {
  const started = begins(theatre, actor, shown, real)
  started.endInput()
  return within(theatre, 60_000, `${shown} ends`, started.ended)
}

function quietly({ house }: Theatre, actor: Actor, command: string): Promise<Outcome> {
  const started = startCommand(['bash', '-c', command], environmentOf(house.layout, actor), {
    cwd: house.layout.account(actor).home,
  })
  started.endInput()
  return started.ended
}

function expect(kept: boolean, complaint: string): asserts kept {
  if (!kept) throw new StepFailed(complaint)
}

async function until({ clock, house }: Theatre, what: string, look: () => boolean): Promise<void> {
  const deadline = clock.monotonic() + 20_000
  while (!look()) {
    if (clock.monotonic() > deadline) throw new StepFailed(`waited 20 s in vain until ${what}`)
    await Promise.race([sleep(clock, 20), house.failed])
  }
}

async function within<T>(
  { clock, house }: Theatre,
  ms: number,
  what: string,
  happening: Promise<T> | undefined,
): Promise<T> {
  if (!happening) throw new StepFailed(`nothing was begun: ${what}`)
  const late = new AbortController()
  const timeout = sleep(clock, ms, late.signal).then((): never => {
    throw new StepFailed(`waited ${ms} ms in vain until ${what}`)
  })
  // Cancelled below when the thing has happened.
  timeout.catch(() => {})
  try {
    return await Promise.race([happening, timeout, house.failed])
  } finally {
    late.abort(new Error('over'))
  }
}
