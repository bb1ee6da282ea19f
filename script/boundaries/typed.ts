// What needs the types: who writes rows that give power, and promises that nobody waits for.
import ts from 'typescript'
import { isTest } from './rooms.ts'
import { writtenTable } from './only-here.ts'
import { violationAt, walk, type Violation } from './violation.ts'

const POWER_BECAUSE =
  'rows that give power are written on the transaction that commitDeed hands out, together with their event'
const PROMISE_BECAUSE = 'its failure would be lost: await it, return it, or write void and say why it cannot matter'

/** Kysely's own, and what says of itself that it is one (foundation/database/tx.ts). */
function isTransaction(checker: ts.TypeChecker, type: ts.Type): boolean {
  if (type.isUnion()) return type.types.every((part) => isTransaction(checker, part))
  if (['Transaction', 'ControlledTransaction'].includes(type.getSymbol()?.name ?? '')) return true
  const says = type.getProperty('isTransaction')
  return says !== undefined && checker.typeToString(checker.getTypeOfSymbol(says)) === 'true'
}

function receiver(call: ts.CallExpression): ts.Expression | null {
  return ts.isPropertyAccessExpression(call.expression) || ts.isElementAccessExpression(call.expression)
    ? call.expression.expression
    : null
}

function isThenable(checker: ts.TypeChecker, type: ts.Type): boolean {
  if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Never)) return false
  const parts = type.isUnion() ? type.types : [type]
  // Both methods: a fluent reply that may be awaited, but does not fail by itself, has only `then`.
  return parts.some((part) =>
    ['then', 'catch'].every((name) => {
      const method = part.getProperty(name)
      return method !== undefined && checker.getTypeOfSymbol(method).getCallSignatures().length > 0
    }),
  )
}

/** `.catch(...)` and `.then(a, b)` have somebody who listens to the failure. */
function isHandled(call: ts.CallExpression): boolean {
  if (!ts.isPropertyAccessExpression(call.expression)) return false
  const name = call.expression.name.text
  return name === 'catch' || (name === 'then' && call.arguments.length === 2)
}

/** `powerTables` comes from foundation/database/tables.ts: the list the store itself uses. */
export function typedViolations(
  checker: ts.TypeChecker,
  source: ts.SourceFile,
  file: string,
  powerTables: readonly string[],
): Violation[] {
  const violations: Violation[] = []
  walk(source, (node) => {
    if (!isTest(file) && !file.startsWith('src/foundation/database/') && ts.isCallExpression(node)) {
      const table = writtenTable(node)
      const from = receiver(node)
      const guarded = table !== null && (table === '' || powerTables.includes(table))
      if (guarded && from && !isTransaction(checker, checker.getTypeAtLocation(from)))
        violations.push(violationAt(source, file, node, `writes ${table || 'a computed table'}: ${POWER_BECAUSE}`))
    }
    // In a test the runner itself reports a failure that nobody waited for.
    if (!isTest(file) && ts.isExpressionStatement(node) && ts.isCallExpression(node.expression)) {
      const call = node.expression
      if (!isHandled(call) && isThenable(checker, checker.getTypeAtLocation(call)))
        violations.push(violationAt(source, file, node, `a promise nobody waits for: ${PROMISE_BECAUSE}`))
    }
  })
  return violations
}
