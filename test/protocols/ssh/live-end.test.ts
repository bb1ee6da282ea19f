import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually, runProgram } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab

beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab.stop())
beforeEach(async () => {
  await eventually('every connection has ended', () => lab.relay.connections === 0)
  lab.control.change = {}
  lab.control.silence = 0
  lab.control.ends.clear()
})

const isAlive = async (pid: string): Promise<boolean> => (await runProgram('kill', ['-0', pid])).code === 0
const endsOf = async (one: SshLab) => {
  await eventually('the session has ended', () => one.relay.connections === 0)
  return [...one.control.ends.values()].flat()
}

test('an end reaches the terminal with its reason, and the shell on the target is gone', async () => {
  const shell = lab.terminal(['-tt', NODE])
  shell.write('PS1=; stty -echo; echo PID $$ END\n')
  const pid = (await shell.until(/PID (\d+) END/))[1]!
  lab.control.notify({
    kind: 'end',
    text: 'revoked by bob: incident is over',
    endText: 'the end',
    endsAt: null,
    budgetMs: null,
  })
  const done = await shell.finished
  expect(done.stdout.split('revoked by bob: incident is over')).toHaveLength(2)
  expect(done.code).toBe(255)
  await eventually('the shell is gone', async () => !(await isAlive(pid)))
  expect(await endsOf(lab)).toMatchObject([{ reason: 'ended', complete: true, contents: ['shell'] }])
  expect(await lab.recording()).toContainEqual(expect.objectContaining({ kind: 'notice' }))
})

test('ssh -q shows the reason of an end on its terminal, too', async () => {
  const shell = lab.terminal(['-q', '-tt', NODE])
  shell.write("PS1=; stty -echo; echo REA''DY\n")
  await shell.until(/READY/)
  lab.control.notify({ kind: 'end', text: 'revoked by bob', endText: 'the end', endsAt: null, budgetMs: null })
  const done = await shell.finished
  expect(done.stdout).toContain('revoked by bob')
  expect(done.code).toBe(255)
})

test('an end stops a command without a terminal: ssh says why, and its process on the target is gone', async () => {
  // sshd passes signals on to other users than root; here the process ends because nobody listens to it any more.
  const command = lab.start('ssh', [NODE, 'echo PID $$ END; while sleep 0.1; do echo tick || exit 1; done'])
  const pid = (await command.until(/PID (\d+) END/))[1]!
  lab.control.notify({ kind: 'end', text: 'locked by carol', endText: 'the end', endsAt: null, budgetMs: null })
  const done = await command.finished
  expect(done.code).toBe(255)
  expect(done.stderr).toContain('locked by carol')
  await eventually('the command is gone', async () => !(await isAlive(pid)))
})

test('an end comes through although the terminal prints without a pause', async () => {
  const flood = lab.terminal(['-tt', NODE, 'yes'])
  await flood.until(/y/)
  lab.control.notify({ kind: 'end', text: 'enough now', endText: 'the end', endsAt: null, budgetMs: null })
  const done = await flood.finished
  expect(done.stdout).toContain('enough now')
})

test('a session ends at its instant without being told, and an extension moves it', async () => {
  lab.control.change = { endsAt: Date.now() + 3000, budgetMs: 3000, endText: 'your hour is over' }
  const shell = lab.terminal(['-tt', NODE])
  shell.write("PS1=; stty -echo; echo REA''DY\n")
  await shell.until(/READY/)
  lab.control.notify({
    kind: 'move',
    text: 'extended by an hour',
    endText: 'your second hour is over',
    endsAt: Date.now() + 4500,
    budgetMs: 4500,
  })
  await shell.until(/extended by an hour/)
  const done = await shell.finished
  expect(done.stdout).toContain('your second hour is over')
  expect(done.stdout).not.toContain('your hour is over')
  expect(await endsOf(lab)).toMatchObject([{ reason: 'expired' }])
})

test('a session nobody types in ends after its idle time', async () => {
  lab.control.change = { idleMs: 1500 }
  const shell = lab.terminal(['-tt', NODE, 'while :; do echo tick; sleep 0.2; done'])
  const done = await shell.finished
  expect(done.stdout).toContain('nothing was typed for 2 seconds')
  expect(await endsOf(lab)).toMatchObject([{ reason: 'idle' }])
})

test('a session ends when the control side has been silent for longer than the grace', async () => {
  lab.control.change = { offlineGraceMs: 5000 }
  const shell = lab.terminal(['-tt', NODE])
  shell.write("PS1=; stty -echo; echo REA''DY\n")
  await shell.until(/READY/)
  lab.control.silence = 5001
  const done = await shell.finished
  expect(done.stdout).toContain('cannot be checked at the moment')
  expect(await endsOf(lab)).toMatchObject([{ reason: 'offline' }])
})

test('a stop tells every terminal and ends every session', async () => {
  const other = await SshLab.start()
  const shells = [other.terminal(['-tt', NODE]), other.terminal(['-tt', NODE])]
  for (const shell of shells) {
    shell.write("PS1=; stty -echo; echo REA''DY\n")
    await shell.until(/READY/)
  }
  await other.relay.tellAndClose('the proxy is restarted')
  for (const shell of shells) expect((await shell.finished).stdout).toContain('the proxy is restarted')
  expect((await endsOf(other)).map((end) => end.reason)).toEqual(['shutdown', 'shutdown'])
  await other.stop()
})

test('the target going away is told', async () => {
  const other = await SshLab.start()
  const shell = other.terminal(['-tt', NODE])
  shell.write('PS1=; stty -echo; echo PPID $(ps -o ppid= -p $$) END\n')
  const server = (await shell.until(/PPID\s+(\d+) END/))[1]!
  await runProgram('kill', ['-9', server])
  const done = await shell.finished
  expect(done.stdout).toContain('box closed the connection')
  expect(await endsOf(other)).toMatchObject([{ reason: 'target_left' }])
  await other.stop()
})
