// Inputs that once reached something new, a line each: Base64. They are tried before anything else is.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Longer ones are found again soon enough. */
const LONGEST_KEPT = 2000

const fileOf = (target: string): string => fileURLToPath(new URL(`corpus/${target}.txt`, import.meta.url))

export function readCorpus(target: string): readonly Buffer[] {
  const file = fileOf(target)
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'base64'))
}

export function addToCorpus(target: string, inputs: readonly Buffer[]): void {
  const lines = [...readCorpus(target), ...inputs].filter(({ length }) => length <= LONGEST_KEPT)
  const unlike = [...new Set(lines.map((input) => input.toString('base64')))]
  mkdirSync(dirname(fileOf(target)), { recursive: true })
  writeFileSync(fileOf(target), unlike.map((line) => `${line}\n`).join(''))
}
