import { PassThrough } from 'node:stream'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { WaitingClient } from './waiting-client.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** What is used of a socket, any stream has. */
const client = (): PassThrough & Socket => new PassThrough() as PassThrough & Socket

test('what a client sends ahead is kept in order, and nothing of it is given twice', async () => {
  const socket = client()
  const waiting = new WaitingClient(socket, Buffer.from('a'))
  socket.write('b')
  await turn()
  socket.write('c')
  await turn()
  expect(waiting.stop().toString()).toBe('abc')
  expect(waiting.stop().length).toBe(0)
  expect(socket.isPaused()).toBe(true)
  expect(waiting.left.aborted).toBe(false)
})

test('that it leaves is known at once, by an end as by a loss', async () => {
  const [polite, lost, gone] = [client(), client(), client()]
  const waiting = [polite, lost].map((socket) => new WaitingClient(socket))
  polite.end()
  lost.destroy()
  gone.destroy()
  await turn()
  expect(waiting.map(({ left }) => left.aborted)).toEqual([true, true])
  expect(new WaitingClient(gone).left.aborted).toBe(true)
})

test('one that sends on and on loses the connection', async () => {
  const socket = client()
  const waiting = new WaitingClient(socket)
  socket.write(Buffer.alloc(65 * 1024))
  await turn()
  expect(socket.destroyed).toBe(true)
  await turn()
  expect(waiting.left.aborted).toBe(true)
})
