import { expect, test } from 'vitest'
import { Passwords } from './passwords.ts'

const cheap = { memory: 64, passes: 1, parallelism: 1 }
const passwords = new Passwords(cheap)

test('a password is taken, any other is not, and two hashes of one differ', async () => {
  const hash = await passwords.hash('correct horse')
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(await passwords.hash('correct horse')).not.toBe(hash)
  expect(await passwords.verify('correct horse', hash)).toBe(true)
  for (const wrong of ['', 'correct horse ', 'Correct horse', 'correct hors', 'correct horse\0'])
    expect(await passwords.verify(wrong, hash)).toBe(false)
})

test('the same text in another normal form is the same password', async () => {
  const hash = await passwords.hash('caf\u00e9 au lait')
  expect(await passwords.verify('cafe\u0301 au lait', hash)).toBe(true)
})

test('nobody’s hash takes no password', async () => {
  expect(await passwords.verify('', null)).toBe(false)
  expect(await passwords.verify('anything', null)).toBe(false)
})

test('a hash of another cost is checked at its own cost', async () => {
  const hash = await new Passwords({ memory: 128, passes: 2, parallelism: 1 }).hash('correct horse')
  expect(await passwords.verify('correct horse', hash)).toBe(true)
})

test.each(['', 'x', '$2b$10$abc', '$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$x'])(
  'a damaged hash "%s" lets nobody in',
  async (hash) => {
    await expect(passwords.verify('x', hash)).rejects.toThrow('damaged')
  },
)

test('more than the queue takes at once are turned away, and the next ones served', async () => {
  const crowded = new Passwords(cheap, 1)
  const all = await Promise.allSettled(Array.from({ length: 100 }, () => crowded.verify('x', null)))
  const refused = all.filter((each) => each.status === 'rejected')
  expect(refused.length).toBe(100 - 33)
  expect(await crowded.verify('x', null)).toBe(false)
})
