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

/** Looks at every file under src/ of the program, and at what those of the SDK import. */
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
  return { filesSeen: files.length, violations: [...violations, ...packageViolations(house)] }
}

/** What makes the package (sdk/build.ts) is no part of it. */
function packageViolations({ program, root, production }: House): Violation[] {
  return program.getSourceFiles().flatMap((source) => {
    const file = relative(root, source.fileName).replaceAll('\\', '/')
    if (!file.startsWith('sdk/') || file === 'sdk/build.ts') return []
    return importViolations(source, file, [...production, '@sallyport/sdk'])
  })
}
