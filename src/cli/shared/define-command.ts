// A command is data: what it is called, what it takes, how it is used, and one function. Files with commands are read at
// every start, so they import nothing heavy: `run` imports its handler when it is called.
import type { CommandContext } from './command-context.ts'

export type OptionShape =
  | { readonly kind: 'switch'; readonly summary: string; readonly short?: string }
  | {
      readonly kind: 'text'
      readonly value: string
      readonly summary: string
      readonly short?: string
      /** Environment variable that stands in for it. */
      readonly env?: string
      readonly required?: true
    }
  /** `--roles=a,b` and `--roles=a --roles=b` are the same. */
  | { readonly kind: 'list'; readonly value: string; readonly summary: string; readonly required?: true }
  | { readonly kind: 'choice'; readonly choices: readonly string[]; readonly summary: string }

export interface ArgumentShape {
  readonly summary: string
  readonly optional?: true
  /** Takes all that are left; the last one only. */
  readonly many?: true
}

type OptionValue<O> = O extends { kind: 'switch' }
  ? boolean
  : O extends { kind: 'list' }
    ? readonly string[]
    : O extends { kind: 'choice'; choices: infer C extends readonly string[] }
      ? C[number] | undefined
      : O extends { kind: 'text'; required: true }
        ? string
        : string | undefined
type ArgumentValue<A> = A extends { many: true }
  ? readonly string[]
  : A extends { optional: true }
    ? string | undefined
    : string

export interface Input<
  A extends Readonly<Record<string, ArgumentShape>>,
  O extends Readonly<Record<string, OptionShape>>,
> {
  readonly arguments: { readonly [K in keyof A]: ArgumentValue<A[K]> }
  readonly options: { readonly [K in keyof O]: OptionValue<O[K]> }
}

export interface CommandShape<
  A extends Readonly<Record<string, ArgumentShape>>,
  O extends Readonly<Record<string, OptionShape>>,
> {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  /** [command line, what it does] */
  readonly examples: readonly (readonly [string, string])[]
  readonly arguments?: A
  readonly options?: O
  /** Everything behind the first argument belongs to another program and is not read as our options. */
  readonly passThrough?: true
  /** The exit code; `undefined` is done. */
  readonly run: (context: CommandContext, input: Input<A, O>) => Promise<number | void>
}

/** A command whose input types have been checked against its options and are no longer needed. */
export interface Command extends Omit<CommandShape<never, never>, 'arguments' | 'options' | 'run'> {
  readonly kind: 'command'
  readonly arguments: Readonly<Record<string, ArgumentShape>>
  readonly options: Readonly<Record<string, OptionShape>>
  readonly run: (context: CommandContext, input: LooseInput) => Promise<number | void>
}

export interface LooseInput {
  readonly arguments: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
}

/** A noun and its verbs. */
export interface CommandGroup {
  readonly kind: 'group'
  readonly name: string
  readonly summary: string
  readonly commands: readonly (Command | CommandGroup)[]
}

/**
 * `defineCommand({ name: 'show', arguments: { id: { summary: '...' } }, run: async (context, { arguments: { id } }) => ... })`
 * An option `pendingFor` is typed as `--pending-for`.
 */
export function defineCommand<
  const A extends Readonly<Record<string, ArgumentShape>> = Record<never, never>,
  const O extends Readonly<Record<string, OptionShape>> = Record<never, never>,
>(shape: CommandShape<A, O>): Command {
  return {
    ...shape,
    kind: 'command',
    arguments: shape.arguments ?? {},
    options: shape.options ?? {},
    // `run-program` builds the input from these very shapes.
    run: (context, input) => shape.run(context, input as Input<A, O>),
  }
}

export function defineGroup(group: Omit<CommandGroup, 'kind'>): CommandGroup {
  return { kind: 'group', ...group }
}
