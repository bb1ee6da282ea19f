import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { onCallAt } from '../../sdk/examples/on-call-rotation/rotation.ts'
import { exampleHouse } from './example-house.ts'

const at = (text: string): number => Date.parse(text)
const HOUR = 3_600_000

describe('who is on call', () => {
  const swaps = [
    { from: '2026-01-02T00:00:00Z', until: '2026-01-02T12:00:00Z', person: 'carol' },
    { from: '2026-01-02T06:00:00Z', until: '2026-01-02T08:00:00Z', person: 'dan' },
  ]
  const rotation = { people: ['ada', 'bob'], begins: '2026-01-01T09:00:00Z', turn: 24, swaps }
  test.each([
    ['2026-01-01T08:59:59.999Z', null, null],
    ['2026-01-01T09:00:00Z', 'ada', '2026-01-02T00:00:00Z'],
    ['2026-01-02T00:00:00Z', 'carol', '2026-01-02T12:00:00Z'],
    ['2026-01-02T07:00:00Z', 'dan', '2026-01-02T08:00:00Z'],
    ['2026-01-02T12:00:00Z', 'bob', '2026-01-03T09:00:00Z'],
    ['2026-01-03T09:00:00Z', 'ada', '2026-01-04T09:00:00Z'],
  ])('at %s: %s', (now, person, until) => {
    const shift = onCallAt(rotation, at(now))
    expect(shift).toEqual(person === null ? null : { person, until: at(until ?? '') })
  })

  test('nobody, without people', () => {
    expect(onCallAt({ ...rotation, people: [], swaps: [] }, at('2026-01-01T10:00:00Z'))).toBeNull()
  })
})

test('on call: whoever is by the file gets in at once and for no longer than an hour, others are told who is', async () => {
  await using house = await exampleHouse()
  const { sallyport } = house
  const dba = { logins: [sallyport.login], node_labels: { env: ['prod'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow: dba } })
  const thresholds = [
    { name: 'on call', filter: 'reviewer.name == "on-call"', approve: 1, deny: 1 },
    { name: 'people', filter: 'reviewer.name != "on-call"', approve: 2, deny: 1 },
  ]
  const request = { roles: ['dba'], max_duration: '4h', thresholds }
  await sallyport.role({ kind: 'role', metadata: { name: 'engineer' }, spec: { allow: { request } } })
  const review = { review_requests: { roles: ['dba'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'on-call-reviewer' }, spec: { allow: review } })
  await sallyport.user('ada', ['engineer'])
  await sallyport.user('bob', ['engineer'])
  const ada = await sallyport.signIn('ada')
  const bob = await sallyport.signIn('bob')

  const file = join(sallyport.folder, 'rotation.json')
  const rotation = { people: ['ada', 'bob'], begins: new Date(Date.now() - HOUR).toISOString(), turn: 24, swaps: [] }
  writeFileSync(file, JSON.stringify(rotation))
  const token = await house.token(
    'on-call',
    '--roles=on-call-reviewer',
    '--scope=requests:read,requests:review,requests:annotate',
  )
  const bot = house.bot('on-call-rotation', token, [file])
  await bot.prints(/on call now: ada/)

  const ask = ['request', 'create', '--roles=dba', '--reason=disk full', '--duration=4h'] as const
  const waiting = await bob.sally(...ask, '--nowait', '--format=json')
  const { id } = JSON.parse(waiting.stdout) as { id: string }
  await expect.poll(async () => (await bob.sally('request', 'show', id)).stdout).toContain('on call now: ada until')
  expect((await bob.ssh('db-box', 'true')).code).not.toBe(0)

  const given = await ada.sally(...ask)
  expect(given.code, given.stderr).toBe(0)
  expect((await ada.ssh('db-box', 'echo fixed')).stdout).toContain('fixed')
  const [grant] = sallyport.rows('select starts_at, ends_at from grants')
  expect(Number(grant?.['ends_at']) - Number(grant?.['starts_at'])).toBeLessThanOrEqual(HOUR)

  // The rotation is handed over, and the file that nobody can read puts nobody on call.
  writeFileSync(file, 'not json')
  await bob.sally('request', 'cancel', id)
  const again = await bob.sally(...ask, '--nowait', '--format=json')
  const second = JSON.parse(again.stdout) as { id: string }
  await bot.prints(new RegExp(`${second.id}: .*JSON`))
  writeFileSync(file, JSON.stringify({ ...rotation, people: ['bob'] }))
  await bob.sally('request', 'cancel', second.id)
  expect((await bob.sally(...ask)).code).toBe(0)
  expect((await bob.ssh('db-box', 'echo mine now')).stdout).toContain('mine now')
})
