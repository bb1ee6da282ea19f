import { CommandFailed } from '../../shared/command-failed.ts'

export const KINDS = ['role', 'node', 'database', 'user', 'review_rule', 'integration', 'lock'] as const
export type Kind = (typeof KINDS)[number]

export interface Target {
  readonly kind: Kind
  readonly name: string | null
}

/** `role`, `roles`, `role/dba`. */
export function readTarget(text: string): Target {
  const [word = '', ...rest] = text.split('/')
  const kind = KINDS.find((each) => word === each || word === `${each}s`)
  if (kind === undefined || rest.length > 1 || rest[0] === '')
    throw new CommandFailed('usage', `"${text}" is not KIND/NAME`, `Kinds: ${KINDS.join(', ')}.`)
  return { kind, name: rest[0] ?? null }
}

export function readNamedTarget(text: string): Target & { readonly name: string } {
  const { kind, name } = readTarget(text)
  if (name === null) throw new CommandFailed('usage', `which ${kind}?`, `Write ${kind}/NAME.`)
  return { kind, name }
}
