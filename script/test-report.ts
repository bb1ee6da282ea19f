/** What is read of the test runner's JSON report. */
export interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly FileReport[]
}

export interface FileReport {
  /** Path of the file */
  readonly name: string
  readonly status: string
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
}

/** Those with a test that failed, and those that could not be loaded. */
export function failedFiles({ testResults }: Report): string[] {
  const isFailed = ({ status, assertionResults }: FileReport): boolean =>
    status === 'failed' || assertionResults.some((test) => test.status === 'failed')
  return [...new Set(testResults.filter(isFailed).map(({ name }) => name))]
}

/** `FILE > TEST` of each test that failed, and of each file that could not be loaded its name alone. */
export function failuresOf(report: Report): string[] {
  const failed = new Set(failedFiles(report))
  return report.testResults
    .filter(({ name }) => failed.has(name))
    .flatMap(({ name, assertionResults }) => {
      const tests = assertionResults.filter(({ status }) => status === 'failed')
      return tests.length === 0 ? [name] : tests.map(({ fullName }) => `${name} > ${fullName}`)
    })
}

/** The first report, with what the second says of the files that it has. */
export function merged(first: Report, second: Report): Report {
  const again = new Set(second.testResults.map(({ name }) => name))
  const testResults = [...first.testResults.filter(({ name }) => !again.has(name)), ...second.testResults]
  const count = (...wanted: readonly string[]): number =>
    testResults.flatMap((file) => file.assertionResults).filter(({ status }) => wanted.includes(status)).length
  return {
    ...first,
    testResults,
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('pending', 'skipped', 'disabled'),
    numTodoTests: count('todo'),
  }
}
