import { afterAll, beforeAll, expect, test } from 'vitest'
import { MysqlLab } from '../../support/mysql-lab.ts'

let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start()
})

afterAll(async () => {
  await lab[Symbol.asyncDispose]()
})

test('the stock client reads a row through the proxy', async () => {
  const { code, stdout, stderr } = await lab.mysql(['-N', '-e', "select 'hello', current_user()", 'shop'])
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'hello\tapp@%\n', stderr: '' })
})
