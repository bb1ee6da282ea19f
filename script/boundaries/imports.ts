import { posix } from 'node:path'
import ts from 'typescript'
import { FLATS, isTest, PURE_NAMES, roomOf, TEST_PACKAGES, TEST_ROOMS, WIRE, type Room } from './rooms.ts'
import { violationAt, walk, type Violation } from './violation.ts'

/** Every module name in a file: import, export from, import(), import type, require. */
function* moduleNames(source: ts.SourceFile): Generator<{ node: ts.Node; name: string | null }> {
  const found: { node: ts.Node; name: string | null }[] = []
  const text = (node: ts.Node | undefined): string | null => (node && ts.isStringLiteralLike(node) ? node.text : null)
  walk(source, (node) => {
    if (ts.isImportDeclaration(node)) found.push({ node, name: text(node.moduleSpecifier) })
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      found.push({ node, name: text(node.moduleSpecifier) })
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      found.push({ node, name: text(node.argument.literal) })
    else if (ts.isCallExpression(node) && isImportCall(node)) found.push({ node, name: text(node.arguments[0]) })
  })
  yield* found
}

const isImportCall = (node: ts.CallExpression): boolean =>
  node.expression.kind === ts.SyntaxKind.ImportKeyword ||
  (ts.isIdentifier(node.expression) && node.expression.text === 'require')

function refusalForFile(file: string, target: string, room: Room): string | null {
  if (WIRE.pattern.test(file)) {
    const own = file.match(WIRE.pattern)?.[0] ?? ''
    if (![own, ...WIRE.mayImport].some((prefix) => target.startsWith(prefix))) return WIRE.because
    return null
  }
  for (const flat of FLATS) {
    if (!file.startsWith(flat.path) || !target.startsWith(flat.path)) continue
    const [from, to] = [file, target].map((path) => path.slice(flat.path.length).split('/')[0])
    if (from !== to) return flat.because
  }
  const allowed = [`${room.path}/`, ...room.mayImport, ...(isTest(file) ? TEST_ROOMS : [])]
  return allowed.some((prefix) => target.startsWith(prefix)) ? null : room.because
}

function refusalForNode(file: string, name: string, room: Room): string | null {
  const list = WIRE.pattern.test(file) ? WIRE.node : room.node
  return list === 'any' || list.includes(name) ? null : WIRE.pattern.test(file) ? WIRE.because : room.because
}

function refusalForPackage(name: string, room: Room, production: readonly string[]): string | null {
  if (!production.includes(name)) return 'what runs in production is a production dependency in package.json'
  return room.packages === 'any' || room.packages.includes(name) ? null : room.because
}

function takesOnlyPureNames(node: ts.Node, name: string): boolean {
  const pure = PURE_NAMES[name]
  if (!pure || !ts.isImportDeclaration(node)) return false
  const named = node.importClause?.namedBindings
  return (
    node.importClause?.name === undefined &&
    named !== undefined &&
    ts.isNamedImports(named) &&
    named.elements.every((element) => pure.includes((element.propertyName ?? element.name).text))
  )
}

const packageOf = (name: string): string => name.split('/', name.startsWith('@') ? 2 : 1).join('/')

/** Violations of the import arrows in one file under src/ or sdk/. `production` are the names in package.json's dependencies. */
export function importViolations(source: ts.SourceFile, file: string, production: readonly string[]): Violation[] {
  const room = roomOf(file)
  if (!room) {
    return [{ file, line: 1, message: 'is in no room: add its folder to script/boundaries/rooms.ts with a reason' }]
  }
  const violations: Violation[] = []
  for (const { node, name } of moduleNames(source)) {
    if (name !== null && takesOnlyPureNames(node, name)) continue
    const reason = name === null ? 'a computed module name cannot be checked' : refusal(name, file, room, production)
    if (reason) violations.push(violationAt(source, file, node, `must not import ${name ?? 'this'}: ${reason}`))
  }
  return violations
}

function refusal(name: string, file: string, room: Room, production: readonly string[]): string | null {
  if (name.startsWith('.')) {
    const target = posix.join(posix.dirname(file), name)
    if (isTest(file) && target.startsWith('test/support/')) return null
    if (file.startsWith('src/main/') && target === 'package.json') return null
    if (!target.startsWith('src/') && !(file.startsWith('sdk/') && target.startsWith('sdk/')))
      return 'src stands alone: tests, benches and scripts import it, never the reverse'
    return refusalForFile(file, target, room)
  }
  if (isTest(file)) {
    return name.startsWith('node:') || TEST_PACKAGES.includes(packageOf(name))
      ? null
      : refusalForPackage(packageOf(name), { ...room, packages: 'any' }, production)
  }
  return name.startsWith('node:')
    ? refusalForNode(file, name, room)
    : refusalForPackage(packageOf(name), room, production)
}
