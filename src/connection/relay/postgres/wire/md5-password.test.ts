import { expect, test } from 'vitest'
import { md5Answer } from './md5-password.ts'

// By `printf` and `md5sum`: md5(md5('secret' 'app') '\x01\x02\x03\x04').
test('the answer to a salt is what the documentation of the server says', () => {
  expect(md5Answer('app', 'secret', Buffer.from([1, 2, 3, 4]))).toBe('md5911f527656472583a006e7727877b33e')
})
