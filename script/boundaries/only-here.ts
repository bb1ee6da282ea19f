// Deeds that only named files may do, found in the syntax of every file under src/ but the tests beside the code.
import ts from 'typescript'
import { isTest } from './rooms.ts'
import { violationAt, walk, type Violation } from './violation.ts'

interface Rule {
  readonly files: readonly string[]
  readonly because: string
  /** What was done, or null. */
  readonly find: (node: ts.Node) => string | null
}

const CLOCK_GLOBALS = ['setTimeout', 'setInterval']
const CLOCK_MEMBERS = ['Date.now', 'performance.now', 'process.hrtime', 'AbortSignal.timeout']
/** Files that make keys, salts, nonces, padding or names of temporary files. Whoever adds one here says in its own comment what it makes. */
const CRYPTO_FILES = [
  'src/access/from-chat/secret-text.ts',
  'src/access/integrations/integrations.ts',
  'src/audit/store-events.ts',
  'src/cli/shared/write-file-atomically.ts',
  'src/connection/relay/mysql/thread-names.ts',
  'src/connection/relay/postgres/cancel-keys.ts',
  'src/connection/relay/postgres/upstream-side.ts',
  'src/connection/relay/ssh/wire/kex-init.ts',
  'src/connection/relay/ssh/wire/packet-codec.ts',
  'src/connection/session-start.ts',
  'src/formats/openssh/mint-certificate.ts',
  'src/formats/openssh/private-key.ts',
  'src/http-api/error-answer.ts',
  'src/http-api/pages/page-form.ts',
  'src/identity/',
  'src/main/demo/people.ts',
  'src/recording/recording-writer.ts',
]
const RANDOM_MEMBERS = ['Math.random']
const RANDOM_NAMES = ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues']

/** `a.b` as text, also when written `a['b']` or reached through globalThis. */
function memberName(node: ts.Node): { object: string; name: string } | null {
  if (ts.isPropertyAccessExpression(node)) return { object: lastName(node.expression), name: node.name.text }
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return { object: lastName(node.expression), name: node.argumentExpression.text }
  }
  return null
}

function lastName(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text
  if (ts.isPropertyAccessExpression(node)) return node.name.text
  return ''
}

/** A name that is read here, and not a property, a parameter or a declaration of that name. */
function isFreeIdentifier(node: ts.Node): node is ts.Identifier {
  if (!ts.isIdentifier(node)) return false
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node
  if (ts.getNameOfDeclaration(parent as ts.Declaration) === node) return false
  return !(ts.isQualifiedName(parent) || ts.isTypeReferenceNode(parent) || ts.isTypeQueryNode(parent))
}

function findClock(node: ts.Node): string | null {
  if (ts.isNewExpression(node) && lastName(node.expression) === 'Date' && (node.arguments?.length ?? 0) === 0)
    return 'reads the clock with new Date()'
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Date')
    return 'reads the clock with Date()'
  if (ts.isStringLiteralLike(node) && /^(node:)?(timers|perf_hooks)(\/promises)?$/.test(node.text))
    return `uses ${node.text}`
  const member = memberName(node)
  if (member) {
    if (CLOCK_MEMBERS.includes(`${member.object}.${member.name}`)) return `uses ${member.object}.${member.name}`
    if (['globalThis', 'global'].includes(member.object) && CLOCK_GLOBALS.includes(member.name))
      return `uses ${member.name}`
  }
  return isFreeIdentifier(node) && CLOCK_GLOBALS.includes(node.text) ? `uses ${node.text}` : null
}

function findRandom(node: ts.Node): string | null {
  const member = memberName(node)
  if (member) {
    if (RANDOM_MEMBERS.includes(`${member.object}.${member.name}`)) return `uses ${member.object}.${member.name}`
    if (RANDOM_NAMES.includes(member.name)) return `uses ${member.name}`
  }
  return ts.isImportSpecifier(node) && RANDOM_NAMES.includes((node.propertyName ?? node.name).text)
    ? `imports ${(node.propertyName ?? node.name).text}`
    : null
}

function findCertify(node: ts.Node): string | null {
  const member = memberName(node)
  if (member?.name === 'certify') return 'calls Authorization.certify'
  if (!ts.isBindingElement(node)) return null
  return (node.propertyName ?? node.name).getText() === 'certify' ? 'takes Authorization.certify' : null
}

/** `event_id: ''` in a new row is the blank that commitDeed fills in, `event_id: row.event_id` is what was read; anything else would forge a binding. */
function findEventId(node: ts.Node): string | null {
  const wrote = 'writes event_id'
  if (ts.isShorthandPropertyAssignment(node)) return node.name.text === 'event_id' ? wrote : null
  if (ts.isPropertyAssignment(node) && node.name.getText().replaceAll(/['"]/g, '') === 'event_id') {
    const { initializer } = node
    const isBlank = ts.isStringLiteralLike(initializer) && initializer.text === ''
    const isRead = ts.isPropertyAccessExpression(initializer) && initializer.name.text === 'event_id'
    return isBlank || isRead ? null : wrote
  }
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.EqualsToken) return null
  return memberName(node.left)?.name === 'event_id' ? wrote : null
}

export const CHAIN_TABLES = ['audit_events', 'chain_head', 'change_log', 'checkpoints']
const WRITES = ['insertInto', 'updateTable', 'deleteFrom', 'replaceInto', 'mergeInto']

/** The table that a Kysely call writes: null = no such call, '' = not a literal. */
export function writtenTable(node: ts.Node): string | null {
  if (!ts.isCallExpression(node)) return null
  const member = memberName(node.expression)
  if (!member || !WRITES.includes(member.name)) return null
  const [table] = node.arguments
  return table && ts.isStringLiteralLike(table) ? (table.text.split(' ')[0] ?? '') : ''
}

function findChainWrite(node: ts.Node): string | null {
  const table = writtenTable(node)
  return table !== null && CHAIN_TABLES.includes(table) ? `writes the table ${table}` : null
}

function findTransaction(node: ts.Node): string | null {
  if (!ts.isCallExpression(node)) return null
  const member = memberName(node.expression)
  return member && ['transaction', 'startTransaction'].includes(member.name) && node.arguments.length === 0
    ? 'starts a transaction'
    : null
}

export const ONLY_HERE: readonly Rule[] = [
  {
    files: ['src/connection/authorize.ts', 'src/connection/control-plane-stub.ts'],
    because: 'an Authorization is made by authorize() and by the stub that brings its answer over IPC, by nobody else',
    find: findCertify,
  },
  {
    files: ['src/foundation/clock.ts'],
    because:
      'time comes from the Clock that is handed in, so that rules are tested at any instant and budgets survive a jump',
    find: findClock,
  },
  {
    files: ['src/foundation/ids.ts', ...CRYPTO_FILES],
    because: 'ids come from foundation/ids, and randomness is taken only in the files that make keys, salts and nonces',
    find: findRandom,
  },
  {
    files: ['src/audit/commit-deed.ts'],
    because: 'a row is bound to its event by commitDeed alone; everybody else writes the blank',
    find: findEventId,
  },
  {
    files: ['src/audit/'],
    because: 'the chain is written by audit alone',
    find: findChainWrite,
  },
  {
    files: ['src/audit/', 'src/foundation/database/'],
    because: 'the deed and its event are one transaction, and commitDeed is who starts it',
    find: findTransaction,
  },
]

export function onlyHereViolations(source: ts.SourceFile, file: string): Violation[] {
  if (isTest(file)) return []
  const rules = ONLY_HERE.filter((rule) => !rule.files.some((prefix) => file.startsWith(prefix)))
  const violations: Violation[] = []
  walk(source, (node) => {
    for (const rule of rules) {
      const what = rule.find(node)
      if (what) violations.push(violationAt(source, file, node, `${what}: ${rule.because}`))
    }
  })
  return violations
}
