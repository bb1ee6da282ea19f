import { expect, test } from 'vitest'
import { failedFiles, failuresOf, merged, type FileReport, type Report } from './test-report.ts'

const file = (name: string, tests: Readonly<Record<string, string>>, status?: string): FileReport => ({
  name,
  status: status ?? (Object.values(tests).includes('failed') ? 'failed' : 'passed'),
  assertionResults: Object.entries(tests).map(([fullName, each]) => ({ fullName, status: each })),
})
const report = (...testResults: FileReport[]): Report => {
  const nothing = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
  return merged({ ...nothing, testResults }, { ...nothing, testResults: [] })
}

test('a file failed when a test of it did, and when it could not be loaded', () => {
  const first = report(
    file('a', { one: 'passed' }),
    file('b', { two: 'failed', three: 'passed' }),
    file('c', {}, 'failed'),
  )
  expect(failedFiles(first)).toEqual(['b', 'c'])
  expect(failuresOf(first)).toEqual(['b > two', 'c'])
})

test('of a file that was run again its second run counts, whole, and of the others the first', () => {
  const first = report(file('a', { one: 'passed' }), file('b', { two: 'failed', three: 'failed', four: 'passed' }))
  const second = report(file('b', { two: 'passed', three: 'passed', four: 'passed' }))
  const both = merged(first, second)
  expect([both.numPassedTests, both.numFailedTests]).toEqual([4, 0])
  expect(failedFiles(both)).toEqual([])
})

test('what passed first and fails the second time has failed', () => {
  const both = merged(
    report(file('b', { two: 'failed', four: 'passed' })),
    report(file('b', { two: 'passed', four: 'failed' })),
  )
  expect([both.numPassedTests, both.numFailedTests]).toEqual([1, 1])
  expect(failuresOf(both)).toEqual(['b > four'])
})

test('tests that were left out are counted as such', () => {
  const both = report(file('a', { one: 'skipped', two: 'pending', three: 'todo', four: 'passed' }))
  expect([both.numPassedTests, both.numPendingTests, both.numTodoTests]).toEqual([1, 2, 1])
})
