#!/usr/bin/env node
// script/demo [--once] | shell ACCOUNT | code ACCOUNT
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../foundation/clock.ts'
import { buildHouse, type House } from './demo/house.ts'
import { openInbox } from './demo/inbox.ts'
import { layoutOf } from './demo/layout.ts'
import { parseSecrets, PEOPLE, totpCode } from './demo/people.ts'
import { createStage } from './demo/stage.ts'
import { playStory } from './demo/story.ts'
import { bundledPrograms, environmentOf } from './demo/wrappers.ts'

const checkout = resolve(import.meta.dirname, '../..')
// Elsewhere for tests, so that they do not meet a demo that somebody plays with.
const layout = layoutOf(process.env['SALLYPORT_DEMO_FOLDER'] ?? resolve(checkout, '.demo'))
const programs = bundledPrograms(checkout)
const ACCOUNTS = PEOPLE.map(({ name }) => name)
const print = (text: string): void => void process.stdout.write(`${text}\n`)

function runningPid(): number | null {
  try {
    const pid = Number(readFileSync(layout.pidFile, 'utf8'))
    process.kill(pid, 0)
    return pid
  } catch {
    return null
  }
}

async function play(isOnce: boolean): Promise<number> {
  const other = runningPid()
  if (other !== null) {
    print(`The demo is already running (process ${other}). Use it from here: script/demo shell alice`)
    return 1
  }
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort())
  // Nobody reads any more (script/demo | head): stop as after Ctrl-C.
  process.stdout.on('error', () => interrupted.abort())
  const aborted = once(interrupted.signal, 'abort').then((): never => {
    throw new Error('interrupted')
  })
  aborted.catch(() => {})

  const started = systemClock.monotonic()
  print('Starting Sallyport, two nodes with stock sshd, and the accounts alice, bob and carol ...')
  const house = await buildHouse(systemClock, layout, programs)
  const stage = createStage(process.stdout)
  const voice = stage.voice('inbox')
  const inbox = openInbox(systemClock, house.api, (line) => voice.say(`${line}\n`))
  print(`Ready after ${((systemClock.monotonic() - started) / 1000).toFixed(1)} s, on 127.0.0.1:${house.port}.`)
  try {
    await Promise.race([playStory({ house, stage, inbox, clock: systemClock }), aborted])
    print('\nThe story is over: every promise was kept.')
    if (isOnce) return 0
    print(invitation(house))
    await Promise.race([aborted, house.failed])
    return 0
  } catch (error) {
    if (interrupted.signal.aborted) {
      print('\nStopping ...')
      return isOnce ? 130 : 0
    }
    stage.failed(error instanceof Error ? error.message : String(error))
    print(`The daemon's log: ${layout.daemonLog}`)
    return 1
  } finally {
    await inbox.stop()
    await house.stop()
  }
}

const invitation = (house: House): string => `
It stays up for you to play. In other terminals:

  script/demo shell alice      plain ssh, scp, sftp and sally are alice's there: ssh db-box, ssh web-box
  script/demo shell bob        sally request ls --reviewable; sallyctl request revoke ID
  script/demo shell carol
  script/demo shell operator   sallyctl users ls, lock add --user=alice, sessions ls --live, audit search
  script/demo code alice       the code that alice's authenticator app would show now

What people are told is printed here. The daemon's log: ${house.layout.daemonLog}
Ctrl-C stops everything.
`

async function openShell(account: string): Promise<number> {
  if (runningPid() === null) {
    print('The demo is not running. Start it in another terminal: script/demo')
    return 1
  }
  const env = { ...environmentOf(layout, account), PS1: `${account}$ ` }
  const tools = account === 'operator' ? 'sallyctl is the local admin' : `ssh, scp, sftp and sally are ${account}'s`
  print(`You are ${account}: ${tools}. exit to leave.`)
  const shell = spawn('bash', ['--noprofile', '--norc', '-i'], {
    env,
    cwd: layout.account(account).home,
    stdio: 'inherit',
  })
  process.on('SIGINT', () => {})
  const [code] = (await once(shell, 'exit')) as [number | null]
  return code ?? 0
}

function showCode(account: string): number {
  print(totpCode(parseSecrets(readFileSync(layout.account(account).secrets, 'utf8')).totp))
  return 0
}

function usage(): number {
  print(`usage: script/demo [--once] | shell ${[...ACCOUNTS, 'operator'].join('|')} | code ${ACCOUNTS.join('|')}`)
  return 2
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { once: { type: 'boolean', default: false } },
  })
  const [verb, account = ''] = positionals
  const known = ACCOUNTS.includes(account)
  if (verb === undefined) return play(values.once)
  if (verb === 'shell' && (known || account === 'operator')) return openShell(account)
  if (verb === 'code' && known) return showCode(account)
  return usage()
}

try {
  process.exitCode = await main()
} catch (error) {
  print(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
