import { sally } from '../../src/cli/sally/program.ts'
import { sallyctl } from '../../src/cli/sallyctl/program.ts'
import type { ArgumentShape, Command, CommandGroup, OptionShape } from '../../src/cli/shared/define-command.ts'
import type { Program } from '../../src/cli/shared/run-program.ts'
import { EXIT, REFUSALS } from '../../src/contract/errors.ts'
import { sallyport } from '../../src/main/sallyport-program.ts'

const MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done',
  failed: 'failed; try again or look at the log',
  usage: 'wrong usage',
  denied: 'denied: by a reviewer, or no role of yours permits it',
  expired: 'expired or cancelled before it was decided',
  notSignedIn: 'not signed in, or a second factor is missing',
  notAllowed: 'not allowed',
  notFound: 'not found, or not for you to know of',
  conflict: 'conflict: it exists, has been decided or has changed meanwhile',
  altered: 'altered: `sallyctl audit verify` found something',
  unanchored: 'consistent, but nothing from outside vouches for it (`sallyctl audit verify`)',
}

const dashed = (key: string): string => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
const argumentText = ([name, shape]: readonly [string, ArgumentShape]): string => {
  const inner = shape.many ? `${name.toUpperCase()}...` : name.toUpperCase()
  return shape.optional ? `[${inner}]` : inner
}
const cell = (text: string): string => text.replaceAll('|', '\\|')

function optionRow([key, shape]: readonly [string, OptionShape]): string {
  const value = shape.kind === 'choice' ? `=${shape.choices.join('|')}` : 'value' in shape ? `=${shape.value}` : ''
  const needed = 'required' in shape && shape.required ? ' (required)' : ''
  const env = 'env' in shape && shape.env !== undefined ? `; or ${shape.env}` : ''
  return `| \`${cell(`${dashed(key)}${value}`)}\` | ${cell(shape.summary)}${env}${needed} |`
}

function section(entry: Command | CommandGroup, path: string): string[] {
  const name = `${path} ${entry.name}`
  if (entry.kind === 'group') return entry.commands.flatMap((each) => section(each, name))
  const args = Object.entries(entry.arguments).map(argumentText).join(' ')
  const options = Object.entries(entry.options)
  return [
    `### ${name}${args === '' ? '' : ` ${args}`}`,
    `${entry.summary}.`,
    ...(options.length === 0 ? [] : [['| Option | |', '|---|---|', ...options.map(optionRow)].join('\n')]),
    entry.examples.map(([line, what]) => `- \`${line}\` ${what}`).join('\n'),
  ]
}

const chapter = (program: Program): string[] => [
  `## ${program.name}`,
  program.summary,
  ...program.commands.flatMap((entry) => section(entry, program.name)),
]

function exitTable(): string {
  const rows = Object.entries(EXIT).map(([name, code]) => {
    const codes = Object.entries(REFUSALS).flatMap(([refusal, [, exit]]) => (exit === name ? [`\`${refusal}\``] : []))
    return `| ${code} | ${MEANING[name as keyof typeof EXIT]} | ${codes.join(' ')} |`
  })
  return ['| Exit | Meaning | Refusal codes |', '|---|---|---|', ...rows].join('\n')
}

/** docs/commands.md, from the commands themselves. */
export const commandsPage = (): string =>
  `${[
    '# Commands',
    'Results go to stdout, progress to stderr. `--format=text|json|yaml` and `--code=DIGITS` (or SALLY_CODE) go with every command that is not passed on to ssh or scp.',
    '## Exit codes',
    exitTable(),
    '`ssh`, `scp` and `sftp` keep their own: 255 when the proxy refuses, else the exit status of the command on the node.',
    ...[sally, sallyctl, sallyport('', '')].flatMap(chapter),
    'This page is made from the source: `node script/reference-pages.ts`.',
  ].join('\n\n')}\n`
