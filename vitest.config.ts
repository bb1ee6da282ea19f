import { defineConfig } from 'vitest/config'

// Times for people are local; snapshots of them must not depend on where they are made.
process.env['TZ'] = 'UTC'

// unit: beside the code (src, script), no server and no child process. parts: everything under test/, which starts real programs.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'script/**/*.test.ts'], environment: 'node' } },
      {
        test: {
          name: 'parts',
          include: ['test/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
