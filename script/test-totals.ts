// Prints `N passed, N failed` from the test runner's JSON report. Exits 1 when a test failed, a file could not be loaded, or none ran.
import { readFileSync } from 'node:fs'
import type { Report } from './test-report.ts'

function readReport(path: string | undefined): Report {
  try {
    return JSON.parse(readFileSync(path ?? '', 'utf8')) as Report
  } catch {
    // The runner died before it could write: that is one failure and no test.
    return { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0, testResults: [] }
  }
}

const report = readReport(process.argv[2])
const unloadable = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
const failed = report.numFailedTests + unloadable.length
const skipped = report.numPendingTests + report.numTodoTests
process.stdout.write(`${report.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
process.exitCode = failed > 0 || report.numPassedTests === 0 ? 1 : 0
