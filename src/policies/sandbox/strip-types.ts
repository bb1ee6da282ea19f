import { stripTypeScriptTypes } from 'node:module'

export type Stripped = { readonly ok: true; readonly code: string } | { readonly ok: false; readonly problem: string }

/**
 * TypeScript to JavaScript by leaving the types out: every line stays where it is. What is more than types (enums,
 * namespaces) is refused.
 */
export function stripTypes(file: string, source: string): Stripped {
  try {
    return { ok: true, code: stripTypeScriptTypes(source) }
  } catch (error) {
    const { message, stack = '' } = error as Error
    // Node puts the place in front of the stack: `:3`, the line, carets.
    const line = /^\S*:(\d+)\n/.exec(stack)?.[1] ?? '1'
    return { ok: false, problem: `${file}:${line}: ${message.split('\n', 1)[0] ?? ''}`.slice(0, 500) }
  }
}
