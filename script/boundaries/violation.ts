import type ts from 'typescript'

export interface Violation {
  readonly file: string
  readonly line: number
  readonly message: string
}

export function violationAt(source: ts.SourceFile, file: string, node: ts.Node, message: string): Violation {
  return { file, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1, message }
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}
