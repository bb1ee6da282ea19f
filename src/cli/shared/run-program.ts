import { Command as Parser, CommanderError, Option } from 'commander'
import { EXIT } from '../../contract/errors.ts'
import { CommandFailed } from './command-failed.ts'
import { FORMATS, type CommandContext, type Format, type Surroundings } from './command-context.ts'
import type { Command, CommandGroup, OptionShape } from './define-command.ts'
import { reportFailure } from './report-failure.ts'
import { makeContext } from './make-context.ts'

export interface Program {
  readonly name: string
  readonly summary: string
  readonly commands: readonly (Command | CommandGroup)[]
  /** Shown below the list of commands. */
  readonly closing: string
}

/** Parses `args` (without program name), runs the command and resolves with the exit code. Never throws. */
export async function runProgram(
  program: Program,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  let exit: number = EXIT.done
  let format: Format = 'text'
  const root = parserFor(program, surroundings)
  const run = async (command: Command, parser: Parser, values: readonly unknown[]): Promise<void> => {
    const typed = parser.opts<Record<string, unknown>>()
    // A command with forms of its own tells what went wrong in text.
    format = FORMATS.find((each) => each === typed['format']) ?? 'text'
    const context: CommandContext = makeContext(surroundings, format, typed)
    const input = {
      arguments: Object.fromEntries(Object.keys(command.arguments).map((key, index) => [key, values[index]])),
      options: Object.fromEntries(
        Object.entries(command.options).map(([key, shape]) => [key, valueOf(key, shape, typed, surroundings)]),
      ),
    }
    exit = (await command.run(context, input)) ?? EXIT.done
  }
  for (const each of program.commands) attach(root, each, run, program.name)
  try {
    await root.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    return reportFailure(error, surroundings, format)
  } finally {
    surroundings.dial.close()
  }
  return exit
}

function parserFor(program: Program, { terminal, version }: Surroundings): Parser {
  return new Parser(program.name)
    .description(program.summary)
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show what a command takes')
    .addHelpText('after', `\n${program.closing}`)
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text.replace(/^error: /, `${program.name}: `)),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride()
}

type Run = (command: Command, parser: Parser, values: readonly unknown[]) => Promise<void>

function attach(parent: Parser, entry: Command | CommandGroup, run: Run, path: string): void {
  const words = `${path} ${entry.name}`
  const parser = parent.command(entry.name).description(entry.summary).helpCommand(false)
  parser.showHelpAfterError(`  Run: ${words} --help`)
  if (entry.kind === 'group') {
    for (const each of entry.commands) attach(parser, each, run, words)
    return
  }
  parser.aliases([...(entry.aliases ?? [])])
  for (const [name, shape] of Object.entries(entry.arguments)) {
    const inner = shape.many ? `${name}...` : name
    parser.argument(shape.optional ? `[${inner}]` : `<${inner}>`, shape.summary)
  }
  for (const [name, shape] of Object.entries(entry.options)) parser.addOption(optionFor(name, shape))
  if (entry.passThrough) parser.passThroughOptions().allowUnknownOption()
  else addCommonOptions(parser, entry)
  const examples = entry.examples.map(([line, what]) => `  ${line}\n      ${what}`).join('\n')
  if (examples !== '') parser.addHelpText('after', `\nExamples:\n${examples}`)
  parser.action((...values: unknown[]) => run(entry, parser, values))
}

function addCommonOptions(parser: Parser, { options }: Command): void {
  if (!('format' in options))
    parser.addOption(new Option('--format <form>', 'how the result is printed').choices(FORMATS))
  parser.addOption(new Option('--code <digits>', 'second-factor code, when one is asked for (or SALLY_CODE)'))
}

function optionFor(key: string, shape: OptionShape): Option {
  const flag = `--${dashed(key)}`
  const short = 'short' in shape && shape.short !== undefined ? `-${shape.short}, ` : ''
  if (shape.kind === 'switch') return new Option(`${short}${flag}`, shape.summary)
  if (shape.kind === 'choice') return new Option(`${flag} <choice>`, shape.summary).choices(shape.choices)
  if (shape.kind === 'text') {
    const summary = shape.env === undefined ? shape.summary : `${shape.summary} (or ${shape.env})`
    // One with a variable is looked for there first.
    const mandatory = shape.required === true && shape.env === undefined
    return new Option(`${short}${flag} <${shape.value}>`, summary).makeOptionMandatory(mandatory)
  }
  return new Option(`${flag} <${shape.value}>`, shape.summary)
    .makeOptionMandatory(shape.required ?? false)
    .argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), ...splitList(text)])
}

function valueOf(
  key: string,
  shape: OptionShape,
  typed: Readonly<Record<string, unknown>>,
  { terminal }: Surroundings,
): unknown {
  if (shape.kind === 'switch') return typed[key] === true
  if (shape.kind === 'list') return typed[key] ?? []
  if (shape.kind === 'text' && shape.env !== undefined) {
    const value = typed[key] ?? terminal.env[shape.env]
    if (value !== undefined || !shape.required) return value
    throw new CommandFailed('usage', `--${dashed(key)} is not given, and ${shape.env} is not set`)
  }
  return typed[key]
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function dashed(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
