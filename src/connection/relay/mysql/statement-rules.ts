import type { StatementKind } from '../../../contract/role.ts'
import { readSql, READINGS, type SqlText } from './sql-words.ts'

/** What a statement can be of; the server's program to copy with is PostgreSQL's alone. */
const KIND_NAMES: Readonly<Record<StatementKind, string>> = {
  write: 'statements that write',
  ddl: 'statements that define (DDL)',
  dcl: 'statements about rights (DCL)',
  copy: 'reading and writing of files on the server',
  copy_program: 'programs on the server',
  procedure: 'procedures and blocks of code',
}

/** A text longer than this is not judged, and so not passed on: judging it would keep everybody else waiting. */
export const LONGEST_JUDGED = 2 * 1024 * 1024

const UNCLEAR = 'what this statement does cannot be told from its words, and your access does not include all of it'
const HOLDS_TEXT =
  'PREPARE and EXECUTE IMMEDIATE run a text that cannot be seen, and your access does not include all of it'
const CHANGES_READING = 'your access does not include changing how the next text has to be read'

const DDL = new Set('CREATE ALTER DROP TRUNCATE RENAME INSTALL UNINSTALL IMPORT OPTIMIZE REPAIR'.split(' '))
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'LOAD', 'TRUNCATE', 'MERGE', 'BINLOG'])
const DCL = new Set(['GRANT', 'REVOKE'])
/** Behind CREATE, ALTER, DROP, RENAME */
const ACCOUNTS = new Set(['USER', 'ROLE'])
/** What keeps code in the server: its body is read for what it holds. */
const CODE = new Set(['PROCEDURE', 'FUNCTION', 'TRIGGER', 'EVENT', 'PACKAGE'])
/** First words of statements that are read to the end: anything may follow. */
const QUERIES = new Set('SELECT WITH VALUES TABLE EXPLAIN DESC DESCRIBE ANALYZE'.split(' '))
/** First words that do nothing that can be denied, whatever follows them. */
const PLAIN = new Set(
  'SHOW USE HELP DO COMMIT ROLLBACK SAVEPOINT RELEASE START LOCK UNLOCK HANDLER KILL FLUSH CHECK CHECKSUM CACHE XA GET'.split(
    ' ',
  ),
)
/** Collations, as they stand in a handshake, of big5, sjis, gbk, cp932 and gb18030: a byte of theirs may look like a quote or a backslash. */
const UNREADABLE_COLLATIONS = new Set([1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250])

/** Whether texts of a connection that begins with this character set can be judged. */
export const canBeJudged = (collation: number): boolean => !UNREADABLE_COLLATIONS.has(collation)

/**
 * Why a text is not passed on, as a sentence; null: it is. Judged by its words: what procedures, triggers and functions of the
 * database do is not seen, so that in the end its own grants decide. Where a text can be read in several ways, in all of them.
 * `text`: the statement as it came, command byte left out.
 */
export function statementRefusal(text: Buffer, denied: readonly StatementKind[]): string | null {
  if (denied.length === 0) return null
  if (text.length > LONGEST_JUDGED)
    return `a text of more than ${LONGEST_JUDGED / 2 ** 20} MiB is not judged, and so not passed on with your access`
  if (text.includes(0)) return UNCLEAR
  const sql = text.toString('latin1')
  const readings = sql.includes('\\') ? READINGS : READINGS.slice(0, 1)
  for (const reading of readings) {
    const read = readSql(sql, reading)
    const why = read === null ? UNCLEAR : (refusalOf(read, denied) ?? readingRefusal(sql, read))
    if (why !== null) return why
  }
  return null
}

function refusalOf(read: SqlText, denied: readonly StatementKind[]): string | null {
  const { statements } = read
  const holdsCode = statements.some(
    ([first = '', ...rest]) => /^(CREATE|ALTER)$/.test(first) && rest.some((word) => CODE.has(word)),
  )
  const isLoose = read.isVersioned || holdsCode
  for (const words of statements) {
    const verdict = isLoose ? judgeLoosely(words) : judge(words)
    if (!holdsCode && verdict === 'unclear') return UNCLEAR
    if (verdict === 'holds_text') return HOLDS_TEXT
    if (typeof verdict === 'string') continue
    const kind = denied.find((one) => verdict.has(one))
    if (kind !== undefined) return `your access does not include ${KIND_NAMES[kind]}`
  }
  return null
}

type Verdict = ReadonlySet<StatementKind> | 'unclear' | 'holds_text'

/** Any word may be the first: parts of the text are left out by some servers, or are the body of a procedure. */
function judgeLoosely(words: readonly string[]): Verdict {
  const kinds = new Set<StatementKind>()
  for (let at = 0; at < words.length; at++) {
    const verdict = judge(words.slice(at, at + LOOSE_WORDS))
    if (verdict === 'holds_text') return verdict
    if (verdict !== 'unclear') for (const kind of verdict) kinds.add(kind)
  }
  return judge(words) === 'unclear' ? 'unclear' : kinds
}

/** What says what a statement is stands within its first words */
const LOOSE_WORDS = 12

/** One statement, from its first word on. */
export function judge(words: readonly string[]): Verdict {
  const from = words.findIndex((word) => word !== '(')
  const first = words[from] ?? ''
  const rest = words.slice(from + 1)
  const kinds = new Set<StatementKind>()
  if (first === 'PREPARE' || first === 'EXECUTE') return 'holds_text'
  if (first === 'BEGIN') return rest.length === 0 || (rest.length === 1 && rest[0] === 'WORK') ? kinds : 'unclear'
  if (first === 'SET') return judgeSet(rest)
  if (first === 'CALL') return kinds.add('procedure')
  if (PLAIN.has(first)) return first === 'DO' ? readsAndWrites(rest, kinds) : kinds
  if (first === 'ANALYZE' && rest.some((word) => word === 'TABLE' || word === 'TABLES')) return kinds.add('ddl')
  if (QUERIES.has(first)) return readsAndWrites(rest, kinds)
  if (DCL.has(first)) return kinds.add('dcl')
  if (!DDL.has(first) && !WRITES.has(first)) return 'unclear'
  if (DDL.has(first)) kinds.add('ddl')
  if (WRITES.has(first)) kinds.add('write')
  if (DDL.has(first) && rest.slice(0, 4).some((word) => ACCOUNTS.has(word))) kinds.add('dcl')
  if (DDL.has(first) && rest.some((word) => CODE.has(word))) kinds.add('procedure')
  if (first === 'LOAD') kinds.add('copy')
  return readsAndWrites(rest, kinds)
}

/** What may stand inside: a change behind WITH or ANALYZE, a file. Some of these words are names of functions, too. */
function readsAndWrites(words: readonly string[], kinds: Set<StatementKind>): Set<StatementKind> {
  for (const [at, word] of words.entries()) {
    if (word === 'OUTFILE' || word === 'DUMPFILE' || word === 'LOAD_FILE') kinds.add('copy')
    const isCall = words[at + 1] === '('
    const isClause = word === 'UPDATE' && ['FOR', 'KEY', 'ON'].includes(words[at - 1] ?? '')
    const isAction = word === 'DELETE' && words[at - 1] === 'ON'
    const isOption = word === 'REPLACE' && words[at - 1] === 'OR'
    if (WRITES.has(word) && word !== 'LOAD' && !isCall && !isClause && !isAction && !isOption) kinds.add('write')
  }
  return kinds
}

/** SET STATEMENT ... FOR is followed by a statement; SET PASSWORD, ROLE and DEFAULT ROLE are about rights. */
function judgeSet(rest: readonly string[]): Verdict {
  const kinds = new Set<StatementKind>()
  const [what = '', next = ''] = rest
  if (what === 'PASSWORD' || what === 'ROLE' || (what === 'DEFAULT' && next === 'ROLE')) return kinds.add('dcl')
  if (what !== 'STATEMENT') return readsAndWrites(rest, kinds)
  for (const [at, word] of rest.entries()) {
    if (word !== 'FOR') continue
    const verdict = judge(rest.slice(at + 1))
    if (typeof verdict === 'string') return verdict
    for (const kind of verdict) kinds.add(kind)
  }
  return kinds
}

/** Of these the character set of a text's bytes is known afterwards: no byte of a longer character looks like a quote or a backslash. */
const SETS_READABLE =
  /^\s*(?:\/\*M?!\d*\s*)?set\s+(?:names|charset|character\s+set|(?:session\s+|@@(?:session\.)?)?character_set_client\s*:?=)\s*(['"]?)(?:utf8|utf8mb3|utf8mb4|latin1|ascii|binary|default)\1(?:\s+collate\s+['"]?\w+['"]?)?\s*(?:\*\/\s*)?;?\s*$/i
/** What mysqldump keeps aside */
const KEEPS_ASIDE = /^\s*(?:\/\*M?!\d*\s*)?set\s+@\w+\s*:?=\s*@@\w+\s*(?:\*\/\s*)?;?\s*$/i

/** How the next text has to be read must stay known: its character set, and what a backslash means within one text. */
function readingRefusal(sql: string, { statements, isVersioned }: SqlText): string | null {
  const maySet = (words: readonly string[]): boolean =>
    words[0] === 'SET' || words[0] === 'CALL' || (isVersioned && (words.includes('SET') || words.includes('CALL')))
  if (!statements.some(maySet)) return null
  if (sql.includes('\\') && statements.length > 1) return CHANGES_READING
  if (SETS_READABLE.test(sql) || KEEPS_ASIDE.test(sql)) return null
  const words = statements.flat()
  const isCharacterSet = words.some((word, at) => word === 'CHARACTER' && words[at + 1] === 'SET')
  const changes = words.includes('NAMES') || words.includes('CHARSET') || isCharacterSet
  return changes || sql.toLowerCase().includes('character_set_client') ? CHANGES_READING : null
}
