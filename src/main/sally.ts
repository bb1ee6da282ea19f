#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }
import { runProgram } from '../cli/shared/run-program.ts'
import { systemSurroundings } from '../cli/shared/system-surroundings.ts'
import { sally } from '../cli/sally/program.ts'

// Beside the bundle, or in the sources when these are run as they are.
const bundled = import.meta.url.endsWith('.mjs')
const proxyCommand = new URL(bundled ? './proxy-command.mjs' : '../cli/proxy-command.ts', import.meta.url)

process.exitCode = await runProgram(
  sally,
  process.argv.slice(2),
  systemSurroundings({
    program: sally.name,
    version: manifest.version,
    proxyCommand: [process.execPath, fileURLToPath(proxyCommand)],
  }),
)
