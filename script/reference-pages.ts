// Writes docs/configuration.md and docs/commands.md from the source; with --check it fails when they are not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { commandsPage } from './pages/commands-page.ts'
import { configurationPage } from './pages/configuration-page.ts'

for (const [name, text] of [
  ['configuration.md', configurationPage()],
  ['commands.md', commandsPage()],
] as const) {
  const page = resolve(import.meta.dirname, '../docs', name)
  if (!process.argv.includes('--check')) writeFileSync(page, text)
  else if (readOrEmpty(page) !== text) {
    process.stdout.write(`docs/${name} is not current. Run: node script/reference-pages.ts\n`)
    process.exitCode = 1
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
