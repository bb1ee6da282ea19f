// Runs the test files under test/ in which something failed a second time, each of them whole: their tests build on each other, so
// one of them alone would find what the failed one had left. Real programs on a machine that others load too: one lost race must not
// stop a change of something else. Never in silence: what needed it is named, and stays named in the report.
//
//   node script/second-try.ts .cache/test-results.json     exits 0 when nothing is left that failed
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { failedFiles, failuresOf, merged, type Report } from './test-report.ts'

/** More than so many are no lost race, and would take as long as everything did. */
const MOST_FILES = 8

const [path = ''] = process.argv.slice(2)
process.exitCode = main()

function main(): number {
  const first = readReport(path)
  const files = first === null ? [] : failedFiles(first).map((file) => relative(process.cwd(), file))
  const parts = files.filter((file) => file.startsWith('test/'))
  // Without a report or a failed file something else went wrong, which no second try would show.
  if (first === null || parts.length === 0 || parts.length < files.length || parts.length > MOST_FILES) return 1
  say(`a second try of ${parts.join(', ')}`)
  const again = `${path}.second`
  const env = { ...process.env, TEST_RESULTS: again }
  spawnSync('vitest', ['run', '--project', 'parts', ...parts], { stdio: 'inherit', env })
  const second = readReport(again)
  if (second === null) return 1
  const both = merged(first, second)
  writeFileSync(path, JSON.stringify(both))
  const mended = failuresOf(first).filter((name) => !failuresOf(both).includes(name))
  if (mended.length > 0) say(`${mended.length} passed on the second try only:`)
  for (const name of mended) say(`  ${name.replace(`${process.cwd()}/`, '')}`)
  return failedFiles(both).length === 0 ? 0 : 1
}

function readReport(file: string): Report | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch {
    return null
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
