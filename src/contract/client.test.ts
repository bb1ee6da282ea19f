import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { aRequest } from '../../test/support/a-request.ts'
import { fakeApi, refuse } from '../../test/support/fake-api.ts'
import { createClient, type Transport } from './client.ts'

const answers =
  (status: number, text: string, contract = '1'): Transport =>
  async () => ({
    status,
    contract,
    body: (async function* () {
      yield new TextEncoder().encode(text)
    })(),
  })

test('path names are percent-encoded and undefined query fields are left out', async () => {
  const api = fakeApi({
    showRequest: ({ params }) => aRequest({ id: params['id'] ?? '' }),
    listRequests: ({ query }) => ({ items: [aRequest({ state: query.state ?? 'denied' })], next: null }),
  })
  const client = createClient(api.transport, { token: 'secret' })
  expect((await client.showRequest({ params: { id: 'a/b?c' } })).id).toBe('a/b?c')
  await client.listRequests({ query: { scope: 'mine', state: undefined } })
  expect(api.calls.map((call) => call.request.target)).toEqual(['/v1/requests/a%2Fb%3Fc', '/v1/requests?scope=mine'])
  expect(api.calls[0]?.request.headers).toMatchObject({ authorization: 'Bearer secret', 'sallyport-contract': '1' })
  expect(api.calls[0]?.request.headers).not.toHaveProperty('content-type')
})

test('a refusal becomes an ApiError with code, hint and exit code', async () => {
  const api = fakeApi({
    cancelRequest: () => {
      refuse('already_resolved', 'it was decided', 'Run: sally request show req_1')
    },
  })
  await expect(createClient(api.transport).cancelRequest({ params: { id: 'req_1' } })).rejects.toMatchObject({
    code: 'already_resolved',
    message: 'it was decided',
    hint: 'Run: sally request show req_1',
    exit: 8,
  })
})

test.each([
  [500, ''],
  [502, '<html>'],
  [403, '{"error":"no"}'],
  [200, ''],
  [200, '[]'],
  [200, '{"items":[{}],"next":null}'],
])('status %i with %j is a bad answer and nothing else', async (status, text) => {
  await expect(createClient(answers(status, text)).listRequests({})).rejects.toMatchObject({ code: 'bad_answer' })
})

test('codes of a later version are kept and exit with 1', async () => {
  const client = createClient(answers(418, '{"error":{"code":"teapot","message":"no coffee"}}'))
  await expect(client.ping({})).rejects.toMatchObject({ code: 'teapot', exit: 1 })
})

test('one contract version apart works, two do not', async () => {
  const text = '{"items":[]}'
  await expect(createClient(answers(200, text, '2')).listLogins({})).resolves.toEqual({ items: [] })
  await expect(createClient(answers(200, text, '3')).listLogins({})).rejects.toMatchObject({ code: 'version_mismatch' })
  await expect(createClient(answers(200, text, 'x')).listLogins({})).rejects.toMatchObject({ code: 'version_mismatch' })
})

test('a step-up is bound to method, path and body bytes, and the call is made once more', async () => {
  const api = fakeApi({
    removeRole: (_, call) => {
      if (call.request.headers['sallyport-step-up'] === 'once') return {}
      refuse('step_up_required', 'confirm this')
    },
    stepUp: () => ({ token: 'once' }),
  })
  const asked: string[] = []
  const client = createClient(api.transport, {
    stepUpCode: async ({ method, path }) => {
      asked.push(`${method} ${path}`)
      return '123456'
    },
  })
  await client.removeRole({ params: { name: 'dba' } })
  expect(asked).toEqual(['DELETE /v1/roles/dba'])
  expect(api.calls.map((call) => call.route)).toEqual(['removeRole', 'stepUp', 'removeRole'])
  const action = createHash('sha256').update('DELETE /v1/roles/dba\n').digest('hex')
  expect(api.calls[1]?.body).toEqual({ action, code: '123456' })
})

test('the action of a call with a body covers exactly the bytes that are sent', async () => {
  const api = fakeApi({
    createDocument: (_, call) => {
      if ('sallyport-step-up' in call.request.headers) return { kind: 'role', name: 'dba', created: true }
      refuse('step_up_required', 'confirm this')
    },
    stepUp: () => ({ token: 'once' }),
  })
  const client = createClient(api.transport, { stepUpCode: async () => '1' })
  await client.createDocument({ body: { document: { kind: 'role', ü: '\u2028' } } })
  const [first, stepUp, second] = api.calls
  expect(second?.request.body).toEqual(first?.request.body)
  const action = createHash('sha256')
    .update('POST /v1/documents\n')
    .update(first?.request.body ?? '')
    .digest('hex')
  expect(stepUp?.body).toMatchObject({ action })
})

test('a second refusal after the step-up is not asked for again', async () => {
  const api = fakeApi({
    removeRole: () => {
      refuse('step_up_required', 'confirm this')
    },
    stepUp: () => ({ token: 'once' }),
  })
  const client = createClient(api.transport, { stepUpCode: async () => '1' })
  await expect(client.removeRole({ params: { name: 'dba' } })).rejects.toMatchObject({ code: 'step_up_required' })
  expect(api.calls).toHaveLength(3)
})

test('without a way to ask for a code the refusal goes to the caller', async () => {
  const api = fakeApi({
    removeRole: () => {
      refuse('step_up_required', 'confirm this')
    },
  })
  await expect(createClient(api.transport).removeRole({ params: { name: 'dba' } })).rejects.toMatchObject({ exit: 6 })
})

test('a recording arrives line by line, however the bytes were cut', async () => {
  const records = [{ kind: 'start', text: 'ä'.repeat(2000) }, { kind: 'end' }]
  const api = fakeApi({
    playSession: () => ({
      lines: (async function* () {
        yield* records
      })(),
    }),
  })
  const got: unknown[] = []
  for await (const line of createClient(api.transport).playSession({ params: { id: 'ses_1' } })) got.push(line)
  expect(got).toEqual(records)
})

test('a stream that fails in its middle throws what the server said', async () => {
  const lines = '{"kind":"end"}\n{"error":{"code":"recording_altered","message":"chunk 3 was changed"}}\n'
  const stream = createClient(answers(200, lines)).playSession({ params: { id: 'ses_1' } })
  const got: unknown[] = []
  const all = (async () => {
    for await (const line of stream) got.push(line)
  })()
  await expect(all).rejects.toMatchObject({ code: 'recording_altered', exit: 9 })
  expect(got).toEqual([{ kind: 'end' }])
})
