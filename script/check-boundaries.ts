// Fails when a file imports what its room may not, or does what only named files may do (script/boundaries/).
// With --types also for what `tsc -p .` finds, from the same parsed program: half the work of doing both.
import { globSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import ts from 'typescript'
import { POWER_TABLES } from '../src/foundation/database/tables.ts'
import { inspect } from './boundaries/find-violations.ts'

const root = resolve(import.meta.dirname, '..')
const config = ts.getParsedCommandLineOfConfigFile(resolve(root, 'tsconfig.json'), {}, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
    throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, ' '))
  },
} satisfies ts.ParseConfigFileHost)
if (!config) throw new Error('tsconfig.json cannot be read')

const manifest = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}
const withTypes = process.argv.includes('--types')
const built = ts.createIncrementalProgram({ rootNames: config.fileNames, options: config.options })
const program = built.getProgram()
// Before the boundaries: what they ask of the checker would keep unchanged files from being skipped.
const wrong = withTypes ? typeErrors() : []
process.stdout.write(
  ts.formatDiagnostics(wrong, { ...ts.sys, getCanonicalFileName: (name) => name, getNewLine: () => '\n' }),
)

const { filesSeen, violations } = inspect({
  program,
  root,
  production: Object.keys(manifest.dependencies),
  powerTables: POWER_TABLES,
})

for (const { file, line, message } of violations) process.stdout.write(`${file}:${line} ${message}\n`)
// A compiler that quietly sees nothing would call every house clean: count the files again, without it.
const filesThere = globSync('src/**/*.ts', { cwd: root }).length
const tooFew = filesSeen < filesThere || filesSeen < 25
if (tooFew) process.stdout.write(`saw only ${filesSeen} of ${filesThere} files under src/ (${dirname(root)})\n`)
process.stdout.write(
  `${filesSeen} files, ${violations.length} violations${withTypes ? `, ${wrong.length} type errors` : ''}\n`,
)
process.exitCode = violations.length > 0 || tooFew || wrong.length > 0 ? 1 : 0

function typeErrors(): readonly ts.Diagnostic[] {
  const found = [
    ...built.getConfigFileParsingDiagnostics(),
    ...built.getOptionsDiagnostics(),
    ...built.getGlobalDiagnostics(),
    ...built.getSyntacticDiagnostics(),
    ...built.getSemanticDiagnostics(),
  ]
  built.emit()
  return found
}
