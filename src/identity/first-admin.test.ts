import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deviceKey, identityWorld, PASSWORD } from '../../test/support/identity-world.ts'
import type { IdentityWorld } from '../../test/support/identity-world.ts'
import { inviteFirstAdmin } from './first-admin.ts'
import { acceptInvitation } from './sign-in.ts'

let world: IdentityWorld
let folder: string
beforeEach(async () => {
  world = await identityWorld()
  folder = mkdtempSync(join(tmpdir(), 'first-admin-'))
})
afterEach(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

const start = () => {
  const file = join(folder, 'first-admin')
  return inviteFirstAdmin(world.services, { file, publicAddress: 'proxy.example:3022', pin: 'sha256:00' })
}
const codeIn = (command: string | undefined) => /--invite=(\S+)$/.exec(command ?? '')?.[1] ?? ''
const accept = (code: string) =>
  acceptInvitation(world.services, {
    code,
    password: PASSWORD,
    device: 'd',
    sshPublicKey: deviceKey(),
    address: '192.0.2.1',
  })

test('the first start leaves a command in a 0600 file that works once, for an hour, and makes an admin', async () => {
  const made = await start()
  expect(statSync(made?.file ?? '').mode & 0o777).toBe(0o600)
  expect(readFileSync(made?.file ?? '', 'utf8')).toBe(`${made?.command}\n`)
  expect(made?.expiresAt).toBe(world.clock.now() + 3_600_000)
  const signedIn = await accept(codeIn(made?.command))
  expect(signedIn).toMatchObject({ user: { name: 'admin' }, secondFactorDue: true })
  await expect(accept(codeIn(made?.command))).rejects.toMatchObject({ code: 'invitation_invalid' })
  const events = JSON.stringify(await world.database.reads.selectFrom('audit_events').selectAll().execute())
  expect(events).not.toContain(codeIn(made?.command))
})

test('a later start makes a new one until somebody has accepted, then removes the file', async () => {
  const first = await start()
  world.clock.advance(3_600_000)
  const second = await start()
  await expect(accept(codeIn(first?.command))).rejects.toMatchObject({ code: 'invitation_invalid' })
  await accept(codeIn(second?.command))
  expect(await start()).toBeNull()
  expect(() => statSync(second?.file ?? '')).toThrow('ENOENT')
})

test('a store that has users gets no admin', async () => {
  await world.person('alice')
  expect(await start()).toBeNull()
})
