import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { aProfile } from '../../../test/support/command-line.ts'
import { tempFolder } from '../../../test/support/temp-folder.ts'
import { openProfiles, profileFolder } from './profile.ts'
import { writeFileAtomically } from './write-file-atomically.ts'

test('the folder is SALLY_HOME, else below XDG_CONFIG_HOME', () => {
  expect(profileFolder({ SALLY_HOME: '/a', XDG_CONFIG_HOME: '/b' })).toBe('/a')
  expect(profileFolder({ SALLY_HOME: '', XDG_CONFIG_HOME: '/b' })).toBe('/b/sallyport')
  expect(profileFolder({})).toMatch(/\/\.config\/sallyport$/)
})

test('what was saved is loaded, from files that nobody else can read', async () => {
  using temp = tempFolder()
  const store = openProfiles(temp.file('home'))
  expect(await store.load()).toBeNull()
  await store.save(aProfile)
  await store.write('id', 'secret')
  expect(await store.load()).toEqual(aProfile)
  expect((await stat(temp.file('home'))).mode & 0o777).toBe(0o700)
  for (const file of ['profile.json', 'id']) expect((await stat(temp.file(`home/${file}`))).mode & 0o777).toBe(0o600)
})

test('a folder that was open to others is closed at the next write', async () => {
  using temp = tempFolder()
  await mkdir(temp.file('home'), { mode: 0o755 })
  await openProfiles(temp.file('home')).save(aProfile)
  expect((await stat(temp.file('home'))).mode & 0o777).toBe(0o700)
})

test('a profile that others may read is refused, with the command that helps', async () => {
  using temp = tempFolder()
  const store = openProfiles(temp.path)
  await store.save(aProfile)
  await chmod(store.path('profile.json'), 0o644)
  await expect(store.load()).rejects.toMatchObject({ hint: expect.stringContaining('chmod 600') as string })
})

test.each([['', '{', '[]', '{"version":2}', '{"version":1,"proxy":{},"account":null}', '{"version":1}']].flat())(
  'a damaged profile (%j) is refused and left as it is',
  async (text) => {
    using temp = tempFolder()
    await writeFile(temp.file('profile.json'), text, { mode: 0o600 })
    await expect(openProfiles(temp.path).load()).rejects.toMatchObject({ exit: 1 })
    expect(await readFile(temp.file('profile.json'), 'utf8')).toBe(text)
  },
)

test('a reader beside many writers sees one whole text after the other, and no draft stays behind', async () => {
  using temp = tempFolder()
  const path = temp.file('x')
  const texts = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(50_000))
  await writeFileAtomically(path, texts[0] ?? '')
  const writing = new AbortController()
  const reader = (async () => {
    let reads = 0
    while (!writing.signal.aborted) {
      const text = await readFile(path, 'utf8')
      expect(text).toMatch(/^(\d)\1{49999}$/)
      reads += 1
    }
    return reads
  })()
  await Promise.all(texts.map((text) => writeFileAtomically(path, text)))
  writing.abort()
  expect(await reader).toBeGreaterThan(0)
  expect(await readdir(temp.path)).toEqual(['x'])
})

test('a write that fails leaves the old content and no draft', async () => {
  using temp = tempFolder()
  await mkdir(temp.file('x'))
  await writeFile(temp.file('x/inside'), '')
  await expect(writeFileAtomically(temp.file('x'), 'new')).rejects.toThrow()
  expect(await readdir(temp.path)).toEqual(['x'])
})

test('a link in place of a file is replaced, never written through', async () => {
  using temp = tempFolder()
  await writeFile(temp.file('elsewhere'), 'untouched')
  await symlink(temp.file('elsewhere'), temp.file('id'))
  await openProfiles(temp.path).write('id', 'secret')
  expect(await readFile(join(temp.path, 'elsewhere'), 'utf8')).toBe('untouched')
})
