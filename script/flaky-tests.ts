import type { Reporter, TestCase } from 'vitest/node'

/** Names, at the end of a run, the tests that passed on their second try: each is a race in the test or in the product. */
export function flakyTests(say: (line: string) => void): Reporter {
  const names: string[] = []
  return {
    onTestCaseResult(test: TestCase) {
      if (test.diagnostic()?.flaky) names.push(`${test.module.relativeModuleId} > ${test.fullName}`)
    },
    onTestRunEnd() {
      if (names.length === 0) return
      say(`${names.length} passed on the second try only:`)
      for (const name of names) say(`  ${name}`)
    },
  }
}
