import type { StatementKind } from '../../../contract/role.ts'
import { sqlWords } from './sql-words.ts'

export interface StatementRules {
  readonly denied: readonly StatementKind[]
  readonly readOnly: boolean
}

const KIND_NAMES: Readonly<Record<StatementKind, string>> = {
  write: 'statements that write',
  ddl: 'statements that define (DDL)',
  dcl: 'statements about rights (DCL)',
  copy: 'COPY',
  copy_program: 'COPY with a program',
  procedure: 'procedures and blocks of code',
}

const DDL = 'CREATE ALTER DROP TRUNCATE COMMENT SECURITY IMPORT REINDEX CLUSTER REFRESH LOAD'.split(' ')
const WRITES = ['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'TRUNCATE']
const RIGHTS = ['ROLE', 'USER', 'GROUP', 'POLICY', 'PRIVILEGES', 'SYSTEM', 'AUTHORIZATION', 'OWNER']
/** What stands in front of a statement that is run or kept */
const FRONTS = ['EXPLAIN', 'PREPARE']
/** Changing these would change how the next text has to be read, or who asks. */
const LOCKED = ['client_encoding', 'standard_conforming_strings', 'session_authorization']
/** What every client of libpq says when it sets the encoding that it has already. */
const SETS_UTF8 = /^\s*set\s+client_encoding\s*(?:to|=)\s*'?utf-?8'?\s*;?\s*$/i
const SETS_STANDARD = /^\s*set\s+standard_conforming_strings\s*(?:to|=)\s*'?on'?\s*;?\s*$/i

export const hasRules = ({ denied, readOnly }: StatementRules): boolean => readOnly || denied.length > 0

/**
 * Why a text is not passed on, as a sentence; null: it is. Judged by its words: what functions of the database do when they are
 * called is not seen, so that in the end its own grants decide. Where a text can be read in two ways, it is refused.
 */
export function statementRefusal(sql: string, rules: StatementRules): string | null {
  const statements = sqlWords(sql)
  const kinds = new Set(statements.flatMap(kindsOf))
  const denied = rules.denied.find((kind) => kinds.has(kind))
  if (denied !== undefined) return `your access does not include ${KIND_NAMES[denied]}`
  if (SETS_UTF8.test(sql) || SETS_STANDARD.test(sql)) return null
  const lower = sql.toLowerCase()
  const locked = LOCKED.find((setting) => lower.includes(setting))
  if (locked !== undefined) return `your access does not include changing ${locked}`
  const words = statements.flat()
  if (words.includes('NAMES') || words.includes('U&') || lower.includes('set_config')) {
    return 'your access does not include SET NAMES, set_config and names with escapes'
  }
  // Drivers ask how it stands.
  const asksOnly = statements.every(([first]) => first === 'SHOW')
  return rules.readOnly && !asksOnly ? readOnlyRefusal(lower, words, kinds) : null
}

/** The server refuses to write; here the ways to tell it otherwise are closed. */
function readOnlyRefusal(lower: string, words: readonly string[], kinds: ReadonlySet<StatementKind>): string | null {
  const asksToWrite = words.some((word, at) => word === 'READ' && words[at + 1] === 'WRITE')
  if (asksToWrite || lower.includes('read_only')) return 'your access is read-only'
  if (kinds.has('procedure') || kinds.has('copy_program') || words.includes('AUTHORIZATION')) {
    return 'your access is read-only: blocks of code and programs are not run'
  }
  return null
}

/** Kinds of one statement. */
export function kindsOf(words: readonly string[]): readonly StatementKind[] {
  const [first = ''] = words
  const has = (word: string): boolean => words.includes(word)
  const starts = FRONTS.includes(first) ? words : [first]
  const isDdl =
    starts.some((word) => DDL.includes(word)) || (isQuery(first) && has('INTO') && !has('INSERT') && !has('MERGE'))
  const isSetRole = first === 'SET' && (has('ROLE') || has('AUTHORIZATION'))
  const isDcl =
    starts.some((word) => ['GRANT', 'REVOKE', 'REASSIGN'].includes(word)) ||
    isSetRole ||
    (isDdl && words.some((word) => RIGHTS.includes(word)))
  const isCopy = first === 'COPY'
  const isWrite = words.some((word, at) => WRITES.includes(word) && !isRowLock(words, at)) || (isCopy && has('FROM'))
  const kinds: StatementKind[] = []
  if (isWrite || (isDdl && isQuery(first))) kinds.push('write')
  if (isDdl) kinds.push('ddl')
  if (isDcl) kinds.push('dcl')
  if (isCopy) kinds.push('copy')
  if (isCopy && has('PROGRAM')) kinds.push('copy_program')
  if (first === 'DO' || first === 'CALL') kinds.push('procedure')
  return kinds
}

const isQuery = (first: string): boolean => ['SELECT', 'WITH', 'VALUES', 'TABLE', 'EXPLAIN', 'PREPARE'].includes(first)

/** FOR UPDATE, FOR NO KEY UPDATE */
const isRowLock = (words: readonly string[], at: number): boolean =>
  words[at] === 'UPDATE' && (words[at - 1] === 'FOR' || (words[at - 1] === 'KEY' && words[at - 2] === 'NO'))
