// Fails when a file imports what its room may not, or does what only named files may do (script/boundaries/).
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
const { filesSeen, violations } = inspect({
  program: ts.createProgram({ rootNames: config.fileNames, options: config.options }),
  root,
  production: Object.keys(manifest.dependencies),
  powerTables: POWER_TABLES,
})

for (const { file, line, message } of violations) process.stdout.write(`${file}:${line} ${message}\n`)
// A compiler that quietly sees nothing would call every house clean: count the files again, without it.
const filesThere = globSync('src/**/*.ts', { cwd: root }).length
const tooFew = filesSeen < filesThere || filesSeen < 25
if (tooFew) process.stdout.write(`saw only ${filesSeen} of ${filesThere} files under src/ (${dirname(root)})\n`)
process.stdout.write(`${filesSeen} files, ${violations.length} violations\n`)
process.exitCode = violations.length > 0 || tooFew ? 1 : 0
