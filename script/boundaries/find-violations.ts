import { relative } from 'node:path'
import type ts from 'typescript'
import { importViolations } from './imports.ts'
import { onlyHereViolations } from './only-here.ts'
import { typedViolations } from './typed.ts'
import type { Violation } from './violation.ts'

export interface House {
  readonly program: ts.Program
  /** Absolute path of the checkout */
  readonly root: string
  /** Names in package.json's dependencies */
  readonly production: readonly string[]
  readonly powerTables: readonly string[]
}

export interface Inspection {
  readonly filesSeen: number
  readonly violations: readonly Violation[]
}

/** Looks at every file under src/ of the program. */
export function inspect(house: House): Inspection {
  const checker = house.program.getTypeChecker()
  const files = house.program
    .getSourceFiles()
    .map((source) => ({ source, file: relative(house.root, source.fileName).replaceAll('\\', '/') }))
    .filter(({ file }) => file.startsWith('src/'))
  const violations = files.flatMap(({ source, file }) => [
    ...importViolations(source, file, house.production),
    ...onlyHereViolations(source, file),
    ...typedViolations(checker, source, file, house.powerTables),
  ])
  return { filesSeen: files.length, violations }
}
