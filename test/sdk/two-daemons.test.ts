import { expect, test } from 'vitest'
import { Sallyport, TokenRefused, type Change } from '../../sdk/index.ts'
import { startPairScene } from '../support/pair-scene.ts'
import { until } from '../support/until.ts'

test('a feed that is read at one daemon goes on at the other with its cursor: nothing is missed, the order is kept', async () => {
  await using pair = await startPairScene()
  const { a, b, alice } = pair
  const { command } = await a.user('owner')
  const caPin = /--ca-pin=(\S+)/.exec(command)?.[1] ?? ''
  const made = await a.admin(
    'tokens',
    'add',
    'bot',
    '--owner=owner',
    '--roles=reviewer',
    '--scope=requests:read',
    '--format=json',
  )
  const { token, secret } = JSON.parse(made.stdout) as { token: { id: string }; secret: string }
  using atA = new Sallyport({ address: `127.0.0.1:${a.port}`, caPin, token: secret })
  using atB = new Sallyport({ address: `127.0.0.1:${b.port}`, caPin, token: secret })

  const wanted: string[] = []
  const askAndCancel = async (): Promise<void> => {
    const asked = await alice.sally(
      'request',
      'create',
      '--roles=dba',
      `--reason=${wanted.length}`,
      '--nowait',
      '--format=json',
    )
    const { id } = JSON.parse(asked.stdout) as { id: string }
    await alice.sally('request', 'cancel', id)
    wanted.push(`${id} access_request.create`, `${id} access_request.cancel`)
  }
  const seen: Change[] = []
  const take = async (from: Sallyport, count: number): Promise<void> => {
    const cursor = seen.at(-1)?.cursor
    for await (const change of from.watchRequests(cursor === undefined ? {} : { cursor })) {
      if (!seen.some(({ id }) => id === change.id)) seen.push(change)
      if (seen.length >= count) return
    }
  }
  // Bob votes through B, which is where this reader is not.
  const first = take(atA, 2)
  await until('the first reader to wait', async () => (await a.events({ type: 'token.create' })).length === 1)
  await askAndCancel()
  await first
  await askAndCancel()
  await take(atB, 4)
  await askAndCancel()
  await take(atA, 6)
  const told = seen.map(({ type, request }) => `${request.id} ${type}`)
  expect(told.filter((each) => !each.endsWith('found'))).toEqual(
    wanted.slice(wanted.length - told.filter((each) => !each.endsWith('found')).length),
  )
  expect(new Set(seen.map(({ request }) => request.id)).size).toBe(3)

  // Taken away at A, it ends a call that waits at B.
  const waiting = (async () => {
    const changes: Change[] = []
    for await (const change of atB.watchRequests()) changes.push(change)
    return changes
  })().catch((error: unknown) => error)
  await a.admin('tokens', 'rm', token.id)
  expect(await waiting).toBeInstanceOf(TokenRefused)
  await expect(atA.show('req_x')).rejects.toThrow(TokenRefused)
})
