import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempFolder extends Disposable {
  readonly path: string
  /** Absolute path of something in it */
  file(name: string): string
}

/** A new private folder, there for as long as this process: a test runner ends its workers by SIGTERM. */
export function processFolder(purpose: string): string {
  const path = mkdtempSync(join(tmpdir(), `sallyport-${purpose}-`))
  process.once('exit', () => rmSync(path, { recursive: true, force: true }))
  process.once('SIGTERM', () => process.exit(143))
  return path
}

/** A new private folder, removed with everything in it by `using` or `[Symbol.dispose]()`. */
export function tempFolder(purpose = 'test'): TempFolder {
  const path = mkdtempSync(join(tmpdir(), `sallyport-${purpose}-`))
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }),
  }
}
