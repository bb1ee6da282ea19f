// The bundles in dist/, made anew when a source is newer: tests run what users run.
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './run.ts'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The stamp that script/lib.sh leaves, too. */
const STAMP = join(ROOT, 'dist', '.built')
const SOURCES = ['src', 'sdk', 'package-lock.json', 'script/build.ts']

export interface BuiltPrograms {
  readonly sally: string
  readonly sallyctl: string
  readonly sallyport: string
  readonly proxyCommand: string
}

let building: Promise<BuiltPrograms> | undefined

/** Absolute paths of the programs, each run as `process.execPath PATH`. Builds at most once per test file. */
export function builtPrograms(): Promise<BuiltPrograms> {
  return (building ??= build())
}

async function build(): Promise<BuiltPrograms> {
  if (!isFresh()) await underLock(buildUnlessFresh)
  const bundle = (name: string): string => join(ROOT, 'dist', `${name}.mjs`)
  return {
    sally: bundle('sally'),
    sallyctl: bundle('sallyctl'),
    sallyport: bundle('sallyport'),
    proxyCommand: bundle('proxy-command'),
  }
}

async function buildUnlessFresh(): Promise<void> {
  if (isFresh()) return
  const built = await run(process.execPath, [join(ROOT, 'script', 'build.ts')], { cwd: ROOT, timeout: 120_000 })
  if (built.code !== 0) throw new Error(`script/build.ts ended with ${built.code}:\n${built.stderr}`)
  writeFileSync(STAMP, '')
}

/** Two test runs in one checkout must not take the bundles away from each other. */
async function underLock(work: () => Promise<void>): Promise<void> {
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  const lock = join(ROOT, '.cache', 'build-lock')
  await until(`${lock} to go (remove it when no test runs)`, () => taken(lock), { within: 120_000, every: 200 })
  try {
    await work()
  } finally {
    rmdirSync(lock)
  }
}

function taken(lock: string): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch {
    return false
  }
}

function isFresh(): boolean {
  if (!existsSync(STAMP)) return false
  const builtAt = statSync(STAMP).mtimeMs
  return SOURCES.every((source) => newest(join(ROOT, source)) <= builtAt)
}

function newest(path: string): number {
  const found = statSync(path)
  if (!found.isDirectory()) return found.mtimeMs
  return Math.max(
    found.mtimeMs,
    ...readdirSync(path)
      .filter((name) => name !== 'dist')
      .map((name) => newest(join(path, name))),
  )
}
