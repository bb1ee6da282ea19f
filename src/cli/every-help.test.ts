import { expect, test } from 'vitest'
import { commandLine, signedInFolder } from '../../test/support/command-line.ts'
import { fakeApi } from '../../test/support/fake-api.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { EXIT } from '../contract/errors.ts'
import { sally } from './sally/program.ts'
import { sallyctl } from './sallyctl/program.ts'
import type { Command, CommandGroup } from './shared/define-command.ts'
import type { Program } from './shared/run-program.ts'

const WIDTH = 80

interface Named {
  readonly program: Program
  readonly path: readonly string[]
  readonly command: Command
}

const below = (program: Program, path: readonly string[], entry: Command | CommandGroup): Named[] =>
  entry.kind === 'group'
    ? entry.commands.flatMap((each) => below(program, [...path, entry.name], each))
    : [{ program, path: [...path, entry.name], command: entry }]

const all = [sally, sallyctl].flatMap((program) => program.commands.flatMap((entry) => below(program, [], entry)))

async function said(program: Program, args: readonly string[]) {
  using temp = tempFolder()
  return await commandLine(args, {
    program,
    api: fakeApi({}),
    folder: await signedInFolder(temp.path),
    columns: WIDTH,
  })
}

test('every command shows how it is used, within 80 columns, with an example that begins with its own words', async () => {
  const faults: string[] = []
  for (const { program, path, command } of all) {
    const words = [program.name, ...path].join(' ')
    const { exit, stdout } = await said(program, [...path, '--help'])
    const examples = stdout.indexOf('\nExamples:\n')
    if (exit !== EXIT.done) faults.push(`${words} --help ends with ${exit}`)
    if (!stdout.includes(`Usage: ${words}`)) faults.push(`${words} --help does not say how it is called`)
    if (examples < 0 || !stdout.slice(examples).includes(words)) faults.push(`${words} --help has no example`)
    if (command.examples.some(([line]) => !line.includes(words)))
      faults.push(`an example of ${words} is of another command`)
    const wide = stdout
      .slice(0, examples)
      .split('\n')
      .filter((line) => line.length > WIDTH)
    if (wide.length > 0) faults.push(`${words} --help is wider than ${WIDTH}: ${wide.join(' / ')}`)
  }
  expect(faults).toEqual([])
  expect(all.length).toBeGreaterThan(70)
})

test.each([
  [sally, ['chat', 'link'], 'sally chat link --help'],
  [sally, ['chat', 'unlnk', 'x'], 'sally chat --help'],
  [sally, ['chat', 'accounts', '--everybody'], 'sally chat accounts --help'],
  [sallyctl, ['integration', 'check'], 'sallyctl integration check --help'],
  [sallyctl, ['integration', 'slack', 'manifest', '--mode=carrier'], 'sallyctl integration slack manifest --help'],
  [sallyctl, ['tokens', 'add', 'bot'], 'sallyctl tokens add --help'],
] as const)('wrong usage names what shows the right one: $0.name %j', async (program, args, next) => {
  const { exit, stdout, stderr } = await said(program, args)
  expect([exit, stdout]).toEqual([EXIT.usage, ''])
  expect(stderr).toContain(`Run: ${next}\n`)
})

test('checking an integration says after a second that it waits for the vendor, and programs read nothing of it', async () => {
  using temp = tempFolder()
  const { ManualClock } = await import('../../test/support/manual-clock.ts')
  const check = async (args: readonly string[], ms: number) => {
    const clock = new ManualClock()
    const api = fakeApi({
      checkIntegration: () => {
        clock.advance(ms)
        return { items: [{ ok: true, text: 'well' }] }
      },
    })
    const folder = await signedInFolder(temp.path)
    return (await commandLine(['integration', 'check', 'slack', ...args], { program: sallyctl, api, folder, clock }))
      .stderr
  }
  expect(await check([], 999)).toBe('')
  expect(await check([], 1000)).toBe('Asking the vendor of slack...\n')
  expect(await check(['--format=json'], 1000)).toBe('')
})
