import type { DatabaseSessionOptions } from '../../authorization.ts'
import { hasRules } from './statement-rules.ts'

export type SettingsVerdict =
  | { readonly ok: true; readonly parameters: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly text: string }

/** What the server is told at the start: what the client asked for, and over it what its access demands. */
export function sessionSettings(options: DatabaseSessionOptions, wanted: ReadonlyMap<string, string>): SettingsVerdict {
  const parameters = new Map([...wanted].map(([name, value]) => [name.toLowerCase(), value]))
  const rules = { denied: options.deniedStatements, readOnly: options.readOnly }
  if (hasRules(rules)) {
    // Statements are judged by their words: they must be readable in one way only.
    const encoding = parameters.get('client_encoding') ?? 'UTF8'
    if (!/^'?(?:utf-?8|unicode|auto)'?$/i.test(encoding)) {
      return { ok: false, text: `your access works with client_encoding UTF8 alone, not with ${encoding.slice(0, 20)}` }
    }
    parameters.set('client_encoding', 'UTF8')
    parameters.set('standard_conforming_strings', 'on')
  }
  if (options.readOnly) parameters.set('default_transaction_read_only', 'on')
  if (options.statementTimeoutMs !== null) parameters.set('statement_timeout', String(options.statementTimeoutMs))
  return { ok: true, parameters }
}
