import type { Startup } from './wire/opening.ts'

/** What a client wants, as its certificate and its startup message say it. */
export interface Wanted {
  /** Name of the resource */
  readonly database: string
  /** null: none named */
  readonly dbUser: string | null
  /** Within the server. null: none named; the server then takes the one that is called as the user */
  readonly dbName: string | null
  /** For the server, besides user and database */
  readonly parameters: ReadonlyMap<string, string>
  readonly isReplication: boolean
  /** Why access is asked for, where it must be: `-c sallyport.reason=...` in `options`. null: nothing was said */
  readonly reason: string | null
}

export type StartupVerdict =
  | { readonly ok: true; readonly wanted: Wanted }
  | { readonly ok: false; readonly message: string; readonly hint: string }

/**
 * Settings that only say how values look, how patient the session is, and where names are looked up. Everything else may be SET
 * later, in a statement that is recorded; what changes who somebody is (`role`, `session_authorization`) never comes in here.
 */
const PASSED_ON: ReadonlySet<string> = new Set([
  'application_name',
  'bytea_output',
  'client_encoding',
  'client_min_messages',
  'datestyle',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'extra_float_digits',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'jit',
  'lock_timeout',
  'search_path',
  'standard_conforming_strings',
  'statement_timeout',
  'timezone',
])

/** What `pg_hba.conf` and stock clients call physical replication in place of a database. A role has to name it. */
const ALL_BY_REPLICATION = 'replication'
/** Meant for us, not for the server. */
const REASON = 'sallyport.reason'
const LONGEST_VALUE = 1024
const NO_REPLICATION: ReadonlySet<string> = new Set(['false', 'off', 'no', '0'])

/** `route`: the resource that the certificate names, null: none. */
export function judgeStartup({ parameters }: Startup, route: string | null): StartupVerdict {
  const user = parameters.get('user') ?? ''
  const plus = user.lastIndexOf('+')
  const database = plus >= 0 ? user.slice(plus + 1) : route
  if (database === null || database === '') {
    return {
      ok: false,
      message: 'no database is named',
      hint: 'sign in for it with: sally db login NAME, or connect as user DBUSER+NAME',
    }
  }
  const dbUser = plus >= 0 ? user.slice(0, plus) : user
  // A client that is told no name of a database says that of the user, all of it.
  const named = parameters.get('database') ?? ''
  const dbName = named === user ? dbUser : named
  const passed = passedOn(parameters)
  if (!passed.ok) return passed
  const replication = parameters.get('replication')
  const isReplication = replication !== undefined && !NO_REPLICATION.has(replication.toLowerCase())
  if (isReplication) passed.parameters.set('replication', replication ?? '')
  // A server looks at no name of a database then, and sends them all.
  const isOfAll = isReplication && replication !== 'database'
  return {
    ok: true,
    wanted: {
      database,
      dbUser: dbUser === '' ? null : dbUser,
      dbName: isOfAll ? ALL_BY_REPLICATION : dbName === '' ? null : dbName,
      parameters: passed.parameters,
      isReplication,
      reason: passed.reason,
    },
  }
}

function passedOn(
  given: ReadonlyMap<string, string>,
):
  | { readonly ok: true; readonly parameters: Map<string, string>; readonly reason: string | null }
  | Extract<StartupVerdict, { ok: false }> {
  const parameters = new Map<string, string>()
  let reason: string | null = null
  for (const [name, value] of given) {
    if (name === 'user' || name === 'database' || name === 'replication') continue
    const settings = name === 'options' ? readOptions(value) : [[name, value] as const]
    if (settings === null) return refused('options', 'only "-c name=value" is understood in it')
    for (const [setting, text] of settings) {
      const isReason = setting.toLowerCase() === REASON
      if (!isReason && !PASSED_ON.has(setting.toLowerCase())) return refused(setting, 'SET it in the session instead')
      if (text.length > LONGEST_VALUE) return refused(setting, `its value is longer than ${LONGEST_VALUE} characters`)
      if (isReason) reason = text
      else parameters.set(setting, text)
    }
  }
  return { ok: true, parameters, reason }
}

const refused = (name: string, hint: string): Extract<StartupVerdict, { ok: false }> => ({
  ok: false,
  message: `the startup parameter ${JSON.stringify(name.slice(0, 63))} is not passed on`,
  hint,
})

/** `-c name=value`, `-cname=value` and `--name=value`, with blanks escaped by a backslash, as the server reads it. Null: something else. */
function readOptions(text: string): readonly (readonly [string, string])[] | null {
  const words = (text.match(/(?:\\.|[^\s\\])+/gs) ?? []).map((word) => word.replace(/\\(.)/gs, '$1'))
  const settings: (readonly [string, string])[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const isLong = word.startsWith('--')
    if (!isLong && !word.startsWith('-c')) return null
    const setting = word === '-c' ? (words[++at] ?? '') : word.slice(2)
    const equals = setting.indexOf('=')
    if (equals <= 0) return null
    settings.push([setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1)])
  }
  return settings
}
