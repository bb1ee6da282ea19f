#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }

// Compiled code is kept beside the bundle, so that the second start and each relay worker need not compile it again.
if (import.meta.url.endsWith('.mjs')) enableCompileCache(fileURLToPath(new URL('.compiled', import.meta.url)))

// The same file starts the daemon and the processes that the daemon starts: each loads only what is its own.
if (process.argv[2] === 'relay-worker') {
  const { runRelayWorker } = await import('./relay-worker.ts')
  runRelayWorker(process.argv[3])
} else if (process.argv[2] === 'verify-store') {
  const { verifyStore } = await import('./verify-store.ts')
  await verifyStore(process.stdin)
} else {
  const { runProgram } = await import('../cli/shared/run-program.ts')
  const { systemSurroundings } = await import('../cli/shared/system-surroundings.ts')
  const { sallyport } = await import('./sallyport-program.ts')
  const code = await runProgram(
    sallyport(fileURLToPath(import.meta.url), manifest.version),
    process.argv.slice(2),
    systemSurroundings({ program: 'sallyport', version: manifest.version, proxyCommand: [] }),
  )
  // A start that failed half-way leaves timers and workers behind: leaving takes them along.
  process.exit(code)
}
