import { expect, test } from 'vitest'
import { freePort } from './free-port.ts'
import { needProgram } from './need-program.ts'
import { run, start } from './run.ts'
import { openTerminal } from './terminal.ts'

test('a program gives back its output, its input and its exit status', async () => {
  const done = await run('sh', ['-c', 'cat; echo oops >&2; exit 3'], { input: 'hello' })
  expect(done).toMatchObject({ code: 3, stdout: 'hello', stderr: 'oops\n' })
})

test('a program that does not end in time is killed and its output shown', async () => {
  await expect(run('sh', ['-c', 'echo here; exec sleep 60'], { timeout: 300 })).rejects.toThrow(/did not end.*\n.*here/)
})

test('a running program can be watched, typed to and stopped', async () => {
  await using program = start('sh', ['-c', 'read -r line; echo "got $line"; exec sleep 60'])
  program.write('abc\n')
  await program.prints(/got abc/)
  expect((await program.stop()).signal).toBe('SIGTERM')
})

test('waiting for words that a program can no longer say fails at once', async () => {
  await using program = start('sh', ['-c', 'echo bye'])
  await expect(program.prints(/hello/)).rejects.toThrow('ended without')
})

test('a missing program is named with the package that has it', () => {
  expect(() => needProgram('no-such-program')).toThrow('apt-get install no-such-program')
})

test('a free port is above the privileged ones', async () => {
  expect(await freePort()).toBeGreaterThan(1023)
})

test('a terminal shows what a person would see, takes keys, and remembers how the command ended', async () => {
  await using terminal = await openTerminal(['sh', '-c', 'printf "name? "; read -r name; echo "hello $name"; exit 7'])
  await terminal.shows(/name\?/)
  await terminal.type('ada\r')
  await terminal.shows(/hello ada/)
  expect(await terminal.exitStatus()).toBe(7)
})
