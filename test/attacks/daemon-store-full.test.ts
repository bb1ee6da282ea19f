import { unlinkSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError } from '../../src/contract/api-error.ts'
import type { Account } from '../support/account.ts'
import { addReviewer, fillDisk, mountSmall, NODE, startFaultHouse, VAULT, verified } from '../support/fault-house.ts'
import { ask, granted } from '../support/granted.ts'
import type { RunningProgram } from '../support/run.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

let disk: TempFolder
let unmount: () => void = () => {}
let sallyport: Sallyport
let alice: Account
let bob: Account

// The data folder alone lies on the small disk: the log and the recordings have room.
beforeEach(async () => {
  disk = tempFolder('store')
  const data = disk.file('data')
  unmount = mountSmall(data, '12m')
  const config = { data_dir: data, recordings_dir: disk.file('recordings'), checkpoint_file: disk.file('checkpoints') }
  ;({ sallyport, alice } = await startFaultHouse({ config }))
  bob = await addReviewer(sallyport)
})
afterEach(async () => {
  await sallyport?.stop()
  unmount()
  disk[Symbol.dispose]()
})

/** A full disk still has room inside the store's own files: deeds use it up. */
async function fillStore(): Promise<string> {
  const filler = fillDisk(sallyport.dataDir)
  await until(
    'the store to be full',
    async () => {
      const name = `filling-${Date.now()}`
      const document = {
        kind: 'role',
        version: 'v1',
        metadata: { name },
        spec: { allow: { logins: ['x'.repeat(32)] } },
      }
      try {
        await sallyport.api.createDocument({ body: { document } })
        return false
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError)
        expect((error as ApiError).code).toBe('store_unavailable')
        return true
      }
    },
    { within: 90_000, every: 1 },
  )
  return filler
}

async function openShell(node: string): Promise<RunningProgram> {
  const shell = alice.start('ssh', '-tt', node)
  shell.write("PS1=; stty -echo; echo OP''EN\r")
  await shell.prints(/OPEN/)
  return shell
}

/** What gives power is refused with a clear text, and nothing of it is there. */
async function expectNoNewPower(pending: string): Promise<void> {
  const refused = await alice.ssh(NODE, 'echo reached')
  expect(refused).toMatchObject({ code: 255, stdout: '' })
  expect(refused.stderr).toContain('cannot be recorded now')
  const vote = await bob.sally('request', 'review', pending, '--approve', '--reason=go ahead')
  expect(vote.code).not.toBe(0)
  expect(vote.stderr).toMatch(/store cannot write/)
  const asked = await alice.sally('request', 'create', '--roles=dba', '--reason=another', '--nowait')
  expect(asked.code).not.toBe(0)
  expect(asked.stderr).toMatch(/store cannot write/)
  const request = await sallyport.api.showRequest({ params: { id: pending } })
  expect(request).toMatchObject({ state: 'pending', reviews: [], grant: null })
}

test('a full data folder: no new power, but revoke and lock close live shells, and are stored once there is room', async () => {
  const request = await granted(alice, 'dba', [bob])
  const vault = await openShell(VAULT)
  const box = await openShell(NODE)
  const pending = await ask(alice, 'dba', '--duration=2h')
  const filler = await fillStore()

  await expectNoNewPower(pending)
  await bob.sallyctl('request', 'revoke', request, '--reason=at once')
  const vaultEnd = await vault.finished
  expect(vaultEnd.stderr).toContain('revoked by bob: at once')
  expect(box.child.exitCode).toBe(null)
  await sallyport.admin('lock', 'add', '--user=alice', '--message=laptop lost')
  const boxEnd = await box.finished
  expect(boxEnd.stderr).toContain('laptop lost')

  unlinkSync(filler)
  await until(
    'both to be stored',
    async () => {
      const events = await sallyport.events({})
      const types = events.map((event) => event.type)
      return types.includes('grant.revoke') && types.includes('lock.create')
    },
    { within: 60_000, every: 300 },
  )
  await until('the ends to be stored', async () => (await sallyport.sessions({ live: true })).length === 0)
  expect(await verified(sallyport)).toEqual({ problems: [], anchored: true })
})

test('a restart while the data folder is full: what was revoked and locked stays so, and is stored once there is room', async () => {
  const request = await granted(alice, 'dba', [bob])
  const vault = await openShell(VAULT)
  const filler = await fillStore()
  await bob.sallyctl('request', 'revoke', request, '--reason=at once')
  expect((await vault.finished).stderr).toContain('revoked by bob')
  await sallyport.admin('lock', 'add', '--user=alice', '--message=laptop lost')

  process.kill(sallyport.pid, 'SIGKILL')
  await sallyport.ended
  unlinkSync(filler)
  await sallyport.restart()
  const refused = await alice.ssh(VAULT, 'echo reached')
  expect(refused).toMatchObject({ code: 255, stdout: '' })
  await until(
    'both to be stored',
    async () => {
      const types = (await sallyport.events({})).map((event) => event.type)
      return types.includes('grant.revoke') && types.includes('lock.create')
    },
    { within: 60_000, every: 300 },
  )
  expect((await sallyport.api.showRequest({ params: { id: request } })).grant).toMatchObject({ endReason: 'revoked' })
  expect((await verified(sallyport)).problems).toEqual([])
})
