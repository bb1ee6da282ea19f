#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }
import { runProgram } from '../cli/shared/run-program.ts'
import { systemSurroundings } from '../cli/shared/system-surroundings.ts'
import { sallyctl } from '../cli/sallyctl/program.ts'

const bundled = import.meta.url.endsWith('.mjs')
const proxyCommand = new URL(bundled ? './proxy-command.mjs' : '../cli/proxy-command.ts', import.meta.url)

process.exitCode = await runProgram(
  sallyctl,
  process.argv.slice(2),
  systemSurroundings({
    program: sallyctl.name,
    version: manifest.version,
    // Reads database files, which no other command does: loaded when it is asked for.
    verifyOffline: async (files) => (await import('./verify-offline.ts')).verifyOffline(files),
    openWorkbench: async (from) =>
      (await import('./policy-workbench.ts')).openWorkbench(from, fileURLToPath(import.meta.url)),
    proxyCommand: [process.execPath, fileURLToPath(proxyCommand)],
  }),
)
