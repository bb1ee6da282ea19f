// The daemon as its operator meets it: configuration, health, a graceful stop and a worker that dies.
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readPrivateKey } from '../../src/formats/openssh/private-key.ts'
import { granted, openShell } from '../support/granted.ts'
import { needProgram } from '../support/need-program.ts'
import { RawSshClient, type RawIdentity } from '../support/raw-ssh-client.ts'
import { start } from '../support/run.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account

beforeAll(async () => {
  sallyport = await startSallyport({ config: { shutdown_grace: '60s' } })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'] } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await Promise.all([sallyport.user('alice', ['engineer']), sallyport.user('bob', ['reviewer'])])
  ;[alice, bob] = await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob')])
  await granted(alice, 'dba', [bob], '--duration=1h')
})
afterAll(() => sallyport?.stop())

test('an unknown key is refused with a suggestion and exit code 2, and every other fault is named at once', async () => {
  const file = join(sallyport.folder, 'wrong.yaml')
  writeFileSync(file, 'data_dir: ./elsewhere\nlisten: nowhere\nlogin_tll: 1h\nlimits: { conections: 5 }\n')
  const done = await sallyport.startBeside(file)
  expect(done.code).toBe(2)
  expect(done.stderr).toContain('unknown key login_tll; did you mean login_ttl?')
  expect(done.stderr).toContain('unknown key limits.conections; did you mean connections?')
  expect(done.stderr).toContain('"nowhere" is not HOST:PORT')
  expect((await sallyport.startBeside(join(sallyport.folder, 'absent.yaml'))).code).toBe(2)
})

test('a second daemon on the same data folder is refused, and the first is not disturbed', async () => {
  const second = await sallyport.startBeside()
  expect(second.code).toBe(8)
  expect(second.stderr).toContain(`another Sallyport daemon (process ${sallyport.pid}) has this data folder open`)
  expect(await alice.ssh('db-box', 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
})

interface Answer {
  readonly status: number | undefined
  readonly body: string
}

const get = (path: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    // Whose certificate it is, is held elsewhere: here the port is asked.
    const asked = request({ port: sallyport.port, path, rejectUnauthorized: false, agent: false }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => (body += text))
      answer.once('end', () => resolve({ status: answer.statusCode, body }))
    })
    asked.once('error', reject).end()
  })

test('/healthz and /readyz answer over HTTPS on the one port; /metrics does on the admin socket alone', async () => {
  expect(await get('/healthz')).toMatchObject({ status: 200 })
  expect(await get('/readyz')).toMatchObject({ status: 200 })
  expect((await get('/metrics')).status).toBe(404)
  const metrics = await overSocket('/metrics')
  expect(metrics).toMatch(/^# HELP sallyport_/m)
  expect(metrics).toMatch(/^sallyport_\w+(?:\{[^}]*\})? \d/m)
})

async function overSocket(path: string): Promise<string> {
  const socket = connect(sallyport.adminSocket)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: sallyport\r\nConnection: close\r\n\r\n`)
  return readAll(socket)
}

async function readAll(socket: ReturnType<typeof connect>): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

test('plain HTTP gets a fixed answer that says what the port speaks', async () => {
  const socket = connect(sallyport.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const answer = await readAll(socket)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('This port speaks HTTPS, SSH and PostgreSQL only.')
})

test('sallyctl status and doctor find the daemon well', async () => {
  expect((await sallyport.admin('status')).code).toBe(0)
  expect((await sallyport.admin('doctor')).code).toBe(0)
})

test('a relay worker that is killed costs its sessions alone: they are cut short, the log stays whole, new ones work', async () => {
  const { terminal, pid } = await openShell(alice, 'db-box')
  await terminal.type('echo before the worker dies\r')
  await terminal.shows(/^before the worker dies/m)
  const [session] = await until('the session to be live', async () => {
    const live = await sallyport.sessions({ live: true })
    return live.length > 0 && live
  })
  for (const worker of sallyport.workerPids()) process.kill(worker, 'SIGKILL')
  expect(await terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(pid))

  const over = await until('the session to be over', async () => {
    const { endedAt, ...rest } = await sallyport.api.showSession({ params: { id: session?.id ?? '' } })
    return endedAt !== null && rest
  })
  expect(over.recording.state).toBe('cut_short')
  expect(over.endReason).toBe('its relay worker died')
  await until('a new relay worker to listen', async () => (await alice.ssh('db-box', 'true')).code === 0)
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
  expect(verified.code).toBe(0)
  const played = await alice.sally('play', session?.id ?? '')
  expect(played.stdout).toContain('before the worker dies')
})

const filesOf = (account: Account): RawIdentity => ({
  key: readPrivateKey(readFileSync(join(account.home, 'id'), 'utf8')).key,
  certificate: Buffer.from(readFileSync(account.certificateFile, 'utf8').split(' ')[1] ?? '', 'base64'),
})

/** The last word of a recording waits for the disk, and with it the session and the stop, until `letGo`. */
async function holdRecordings(): Promise<{ letGo(): Promise<unknown> }> {
  const workers = sallyport.workerPids().flatMap((pid) => ['-p', String(pid)])
  const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=50000000']
  const strace = start(needProgram('strace'), ['-f', ...inject, ...workers])
  await strace.prints(/attached/)
  return { letGo: () => strace.stop() }
}

test('SIGTERM: while a live session still holds the stop open, nobody gets in; it is told, and what is stored is checkpointed', async () => {
  const { terminal, pid } = await openShell(alice, 'db-box')
  const early = await RawSshClient.connect(sallyport.port)
  const held = await holdRecordings()
  const daemon = sallyport.pid
  const stopped = sallyport.kill('SIGTERM')
  await until('the stop to begin', () => sallyport.log().some(({ msg }) => msg === 'stopping'))

  // Through the open port before the stop, at the sign-in after it; and anew.
  await expect(early.signIn('+db-box', filesOf(alice))).rejects.toThrow(/^ended before message 52/)
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)
  await terminal.shows(/the proxy is being stopped/)
  expect(await terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(pid))
  expect(sallyport.rows('SELECT id FROM sessions WHERE ended_at IS NULL')).toHaveLength(1)
  expect(isAlive(daemon)).toBe(true)

  await held.letGo()
  expect(await stopped).toEqual({ code: 0, signal: null })
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)

  const [last] = sallyport.rows('SELECT type FROM audit_events ORDER BY seq DESC LIMIT 1')
  expect(last?.['type']).toBe('daemon.stop')
  expect(sallyport.rows('SELECT id FROM sessions WHERE ended_at IS NULL')).toEqual([])
  expect(sallyport.log().at(-1)?.msg).toBe('stopped')
})

test('after the restart the same files and the same grant let in: no login, no request', async () => {
  const logins = sallyport.rows('SELECT id FROM login_sessions')
  await sallyport.restart()
  expect(await alice.ssh('db-box', 'echo in')).toMatchObject({ code: 0, stdout: 'in\n', stderr: '' })
  const status = await alice.sally('status')
  expect(status.code).toBe(0)
  expect(status.stdout).toContain('dba')
  expect(sallyport.rows('SELECT id FROM login_sessions')).toEqual(logins)

  // The checkpoint that was written at the stop vouches for all before it.
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
  expect(verified.code).toBe(0)
  const reasons = (await sallyport.events({ type: 'session.end' })).map(({ details }) => details?.['code'])
  expect(reasons.filter((reason) => reason === 'shutdown')).toHaveLength(1)
})
