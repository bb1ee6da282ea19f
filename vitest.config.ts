import { defineConfig } from 'vitest/config'

// Times for people are local; snapshots of them must not depend on where they are made.
process.env['TZ'] = 'UTC'

/** The default is a second, which is a time limit for a machine with other work. */
const expect = { poll: { timeout: 30_000, interval: 10 } }

// unit: beside the code (src, script), no server and no child process. parts: everything under test/, which starts real programs.
const ci = Boolean(process.env['CI'])

export default defineConfig({
  test: {
    // What .ci/run counts is the runner's own report.
    reporters: ci
      ? ['default', ['json', { outputFile: process.env['TEST_RESULTS'] ?? '.cache/test-results.json' }]]
      : ['default'],
    // The default leaves a core to an editor's window; script/check has none.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'script/**/*.test.ts'],
          environment: 'node',
          // Half of the time was spent on importing the same modules for each file. No unit test replaces a module or
          // a global, so files can share them.
          isolate: false,
          // A hang, not a slow machine.
          testTimeout: 60_000,
          expect,
        },
      },
      {
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect,
          fileParallelism: false,
        },
      },
    ],
  },
})
