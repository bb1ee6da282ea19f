import { globSync, renameSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Account } from '../support/account.ts'
import { addReviewer, NODE, startFaultHouse, VAULT, verified } from '../support/fault-house.ts'
import { ask, granted } from '../support/granted.ts'
import type { RunningProgram } from '../support/run.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

let folder: TempFolder
let sallyport: Sallyport
let alice: Account
let bob: Account

/** The wall clock of control process and relay workers; their monotonic clock goes on as it is. */
function setClock(offset: '+0' | '+2h' | '-2h'): void {
  writeFileSync(folder.file('offset.new'), `${offset}\n`)
  renameSync(folder.file('offset.new'), folder.file('offset'))
}

beforeEach(async () => {
  const [library] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
  if (library === undefined)
    throw new Error('libfaketime is missing: run script/bootstrap test, or apt-get install libfaketime')
  folder = tempFolder('clock')
  setClock('+0')
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: folder.file('offset'),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  ;({ sallyport, alice } = await startFaultHouse({ env }))
  bob = await addReviewer(sallyport)
})
afterEach(async () => {
  await sallyport?.stop()
  folder[Symbol.dispose]()
})

async function openShell(node: string): Promise<RunningProgram> {
  const shell = alice.start('ssh', '-tt', node)
  shell.write("PS1=; stty -echo; echo OP''EN\r")
  await shell.prints(/OPEN/)
  return shell
}

test('the clock set forward past the end of a grant ends its session and no other', async () => {
  await granted(alice, 'dba', [bob], '--duration=1h')
  const vault = await openShell(VAULT)
  const box = await openShell(NODE)
  setClock('+2h')
  const ended = await vault.finished
  expect(ended.stderr).toContain('your access (dba) has expired')
  expect(box.child.exitCode).toBe(null)
  expect((await alice.ssh(VAULT, 'echo in')).code).toBe(255)
})

test('the clock set back: nothing is approved or started, and a running session does not get more time', async () => {
  const pending = await ask(alice, 'dba', '--duration=2h')
  await granted(alice, 'dba', [bob], '--duration=30s')
  const vault = await openShell(VAULT)
  const box = await openShell(NODE)
  setClock('-2h')
  const vote = await bob.sally('request', 'review', pending, '--approve', '--reason=go ahead')
  expect(vote.code).not.toBe(0)
  // For his own vote bob is asked for a code first: his sign-in lies in the future.
  const asked = await alice.sally('request', 'create', '--roles=dba', '--reason=another', '--nowait')
  expect(asked.code).not.toBe(0)
  expect(asked.stderr).toContain('behind the last event')
  expect(await sallyport.api.showRequest({ params: { id: pending } })).toMatchObject({ state: 'pending', grant: null })
  expect(await alice.ssh(NODE, 'echo in')).toMatchObject({ code: 255, stdout: '' })

  // By the wall clock it would have two hours more. It ends at its own end, by the time that has really passed.
  const ended = await vault.finished
  expect(ended.stderr).toContain('your access (dba) has expired')
  expect(box.child.exitCode).toBe(null)

  setClock('+0')
  expect(await alice.ssh(NODE, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
  const isOver = async (): Promise<boolean> => (await alice.ssh(VAULT, 'true')).code === 255
  await until('the end of the grant, at its own time', isOver, { within: 60_000, every: 500 })
  expect((await verified(sallyport)).problems).toEqual([])
})
