import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exampleHouse } from './example-house.ts'

test('business rules: what a ticket covers is approved and ssh works, the rest waits with a note for people', async () => {
  await using house = await exampleHouse()
  const { sallyport } = house
  const web = { logins: [sallyport.login], node_labels: { env: ['prod'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'web' }, spec: { allow: web } })
  const thresholds = [
    { name: 'rules', filter: 'reviewer.name == "rules-bot"', approve: 1, deny: 1 },
    { name: 'people', filter: 'reviewer.name != "rules-bot"', approve: 1, deny: 1 },
  ]
  const request = { roles: ['web'], max_duration: '8h', thresholds }
  await sallyport.role({ kind: 'role', metadata: { name: 'engineer' }, spec: { allow: { request } } })
  const review = { review_requests: { roles: ['web'] } }
  await sallyport.role({ kind: 'role', metadata: { name: 'bot-reviewer' }, spec: { allow: review } })
  await sallyport.user('alice', ['engineer'])
  const alice = await sallyport.signIn('alice')

  const token = await house.token(
    'rules-bot',
    '--roles=bot-reviewer',
    '--scope=requests:read,requests:review,requests:annotate',
  )
  const business = join(sallyport.folder, 'business.json')
  const rules = [{ name: 'web for an hour', roles: ['web'], longest: 60, ticket: true }]
  writeFileSync(business, JSON.stringify({ rules, openTickets: ['OPS-17'] }))
  const bot = house.bot('business-rules', token, [business])
  await bot.prints(/judging by/)

  // No ticket of that number: it stays with people, who are told why.
  const ask = ['request', 'create', '--roles=web', '--format=json'] as const
  const waiting = await alice.sally(...ask, '--reason=OPS-18 logs', '--duration=30m', '--nowait')
  expect(waiting.code, waiting.stderr).toBe(0)
  const { id } = JSON.parse(waiting.stdout) as { id: string }
  await expect.poll(async () => (await alice.sally('request', 'show', id)).stdout).toContain('no open ticket')
  expect((await alice.ssh('db-box', 'true')).code).not.toBe(0)

  const given = await alice.sally(...ask, '--reason=OPS-17 logs', '--duration=30m')
  expect(given.code, given.stderr).toBe(0)
  const shell = await alice.ssh('db-box', 'echo in as $(id -un)')
  expect(shell.stdout, shell.stderr).toContain(`in as ${sallyport.login}`)

  const [review1] = await sallyport.events({ type: 'access_request.review' })
  expect(review1?.actor.name).toBe('rules-bot')
  expect(review1?.login).toMatch(/^tok_/)
})
