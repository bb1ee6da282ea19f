// Connections that were refused and wait for access they asked for: how many, for how long, at what cost, and what ends them.
import { randomBytes, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import {
  infoResponse,
  interactiveRequest,
  readInfoRequest,
} from '../../src/connection/relay/ssh/wire/interactive-messages.ts'
import { readBanner } from '../../src/connection/relay/ssh/wire/auth-messages.ts'
import { payload } from '../../src/connection/relay/ssh/wire/payload.ts'
import { readPrivateKey } from '../../src/formats/openssh/private-key.ts'
import { killControl, NODE, relayWorkers, startFaultHouse, VAULT, type FaultHouse } from '../support/fault-house.ts'
import { RawSshClient, type RawIdentity } from '../support/raw-ssh-client.ts'
import { until } from '../support/until.ts'

const KIB = 1024
const MOST_PER_CONNECTION = 200 * KIB
const CONNECTIONS = 100
const USER = `+${VAULT}`

let house: FaultHouse
const clients: RawSshClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await house.sallyport.stop()
})

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<void> {
  house = await startFaultHouse({ config, roleOptions: { request_on_denied: true } })
}

/** The device key and certificate of alice. */
function identity(): RawIdentity {
  const { key } = readPrivateKey(readFileSync(join(house.alice.home, 'id'), 'utf8'))
  const [, certificate = ''] = readFileSync(house.alice.certificateFile, 'utf8').split(' ')
  return { key, certificate: Buffer.from(certificate, 'base64') }
}

/** Signs in, is refused and told that it may ask. */
async function refused(who = identity()): Promise<RawSshClient> {
  const client = await RawSshClient.connect(house.sallyport.port)
  clients.push(client)
  client.askForService()
  client.send(client.signedRequest(USER, who))
  expect((await client.until(51)).at(-1)).toBe(1)
  return client
}

/** Comes to ask; the first one gives a reason, the others join. */
async function waiting(who = identity()): Promise<RawSshClient> {
  const client = await refused(who)
  client.send(interactiveRequest(USER))
  await toWaiting(client)
  return client
}

async function toWaiting(client: RawSshClient): Promise<void> {
  for (;;) {
    const { prompts, instruction } = readInfoRequest(await client.until(60))
    client.send(infoResponse(...prompts.map(() => 'ticket 7')))
    if (/Waiting: /.test(instruction)) return
  }
}

/** Answers whatever comes, so that the proxy may tell on. Gives the last banner once it has ended. */
async function toTheEnd(client: RawSshClient): Promise<string> {
  let last = ''
  for (;;) {
    const message = client.received.shift()
    if (message?.[0] === 53) last = readBanner(message)
    if (message?.[0] === 60) client.send(infoResponse())
    if (message === undefined) {
      if (client.ended) return last
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

const requests = () => house.sallyport.rows('SELECT id, state, reason FROM access_requests')

/** Resident bytes of the relay workers. */
const resident = (): number =>
  relayWorkers(house.sallyport)
    .map((pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * KIB)
    .reduce((sum, bytes) => sum + bytes, 0)

test(`${CONNECTIONS} connections wait past the login grace on one request and count as signed in; the next is refused; all end with a clear line`, async () => {
  const limits = { waiting_per_user: 1000, unauthenticated: 30, unauthenticated_per_address: 20 }
  await start({ login_grace: '3s', limits })
  const who = identity()
  for (let warm = 0; warm < 3; warm++) await waiting(who)
  const before = resident()
  while (clients.length < CONNECTIONS)
    await Promise.all(Array.from({ length: Math.min(10, CONNECTIONS - clients.length) }, () => waiting(who)))
  const each = (resident() - before) / (CONNECTIONS - 3)
  process.stdout.write(`relay worker: ${(each / KIB).toFixed(0)} KiB for each waiting connection\n`)
  expect(each).toBeLessThan(MOST_PER_CONNECTION)
  expect(requests()).toMatchObject([{ state: 'pending', reason: 'ticket 7' }])

  const late = await refused(who)
  late.send(interactiveRequest(USER))
  expect(await toTheEnd(late)).toBe('sallyport: too many connections wait for access here\r\n')

  await new Promise((resolve) => setTimeout(resolve, 4000))
  const open = clients.filter((client) => client !== late)
  expect(open.filter((client) => client.ended)).toEqual([])
  // Those who need not wait get in beside them.
  expect(await house.alice.ssh(NODE, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })

  const ends = open.map(toTheEnd)
  expect((await house.alice.sally('request', 'cancel', String(requests()[0]?.['id']))).code).toBe(0)
  expect(new Set(await Promise.all(ends))).toEqual(new Set(['sallyport: request cancelled by alice\r\n']))
})

test('a fourth waiting connection of one user is refused; one that hangs up makes room, and the request stays', async () => {
  await start()
  const [first] = [await waiting(), await waiting(), await waiting()]
  const fourth = await refused()
  fourth.send(interactiveRequest(USER))
  expect(await toTheEnd(fourth)).toBe('sallyport: 3 connections of yours wait for access already\r\n')
  first.close()
  await until('room for another', async () => {
    const next = await refused()
    next.send(interactiveRequest(USER))
    return toWaiting(next).then(
      () => true,
      () => false,
    )
  })
  expect(requests()).toMatchObject([{ state: 'pending' }])
})

test('a client that says nothing after its refusal is told good-bye in time', async () => {
  await start({ login_grace: '1s' })
  const client = await refused()
  expect(await client.untilEnd()).toContain('alice may not use vault')
  expect(requests()).toEqual([])
})

test('a relay worker that is killed takes its waiting connections with it; the request stays, and a new one joins it', async () => {
  await start()
  const client = await waiting()
  const [pid] = relayWorkers(house.sallyport)
  process.kill(pid ?? 0, 'SIGKILL')
  await client.untilEnd()
  await until('another worker', () => relayWorkers(house.sallyport).some((other) => other !== pid))
  await until('its port', () =>
    waiting().then(
      () => true,
      () => false,
    ),
  )
  expect(requests()).toMatchObject([{ state: 'pending' }])
})

test('a control process that is killed ends the waiting; after its restart the request is there to be joined and approved', async () => {
  await start()
  const client = await waiting()
  await killControl(house.sallyport)
  const last = await toTheEnd(client)
  // The worker may still say why before it goes.
  expect(['', 'the control process of the proxy is gone\r\n']).toContain(last.replace(/^[^]*\n(?=the control)/, ''))
  await house.sallyport.restart()
  await waiting()
  expect(requests()).toMatchObject([{ state: 'pending' }])
})

test('a daemon that is stopped tells those who wait, and does not wait for them', async () => {
  await start({ shutdown_grace: '5s' })
  const client = await waiting()
  const end = toTheEnd(client)
  expect(await house.sallyport.kill('SIGTERM')).toMatchObject({ code: 0 })
  expect(await end).toMatch(/stop|restart|shut/)
})

test('a reason of 4097 bytes, of control characters or none at all is stored as it is or asked for again; never more than one request', async () => {
  await start()
  const client = await refused()
  client.send(interactiveRequest(USER))
  readInfoRequest(await client.until(60))
  client.send(infoResponse('x'.repeat(4097)))
  expect(readBanner(await client.until(53))).toContain('4097 bytes; 4096 is the limit')
  readInfoRequest(await client.until(60))
  const reason = 'why\u001b[2J\u202e\r\nsallyport: approved'
  client.send(infoResponse(reason))
  await toWaiting(client)
  expect(requests()).toMatchObject([{ reason }])
})

test('three hundred clients that talk nonsense at the door break only their own connections and ask for nothing', async () => {
  await start({ limits: { waiting_per_user: 1000 } })
  const who = identity()
  const nonsense = (): Buffer => {
    const numbers = [50, 51, 52, 53, 60, 61, 61, 61, 80, 90, 94, 98, 2, 4, 5, randomInt(256)]
    const number = numbers[randomInt(numbers.length)] ?? 61
    const counts = [0, 1, 2, 0xffff_ffff]
    if (randomInt(2) === 0) return payload(number, counts[randomInt(4)] ?? 0, randomBytes(randomInt(200)))
    return Buffer.concat([Buffer.from([number]), randomBytes(randomInt(2000))])
  }
  for (let round = 0; round < 30; round++)
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const client = await refused(who)
        if (randomInt(2) === 0) client.send(interactiveRequest(USER))
        // An empty answer asks for nothing here: no reason is required.
        for (let sent = 0; sent < 5; sent++) client.send(nonsense())
        client.close()
      }),
    )
  expect(await house.alice.ssh(NODE, 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
  // A right answer may be among the nonsense: then it is one request, which all others join.
  expect(requests().length).toBeLessThanOrEqual(1)
  expect(house.sallyport.log().filter(({ level }) => level === 'error' || level === 50)).toEqual([])
})
