import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLab, openAuditLab, tell } from '../../test/support/audit-lab.ts'
import { createOutbox } from './outbox.ts'

let lab: AuditLab
beforeEach(async () => {
  lab = await openAuditLab()
})
afterEach(() => lab.remove())

const queue = (...bodies: number[]): Promise<number> =>
  lab.deeds.commitDeed(async () => ({
    result: 0,
    events: [tell({ type: 'exec' })],
    outbox: bodies.map((n) => ({ topic: 'request', body: { n } })),
  }))

it('messages wait in the order of their commits until they are marked delivered', async () => {
  const outbox = createOutbox(lab.database, lab.clock)
  await queue(1, 2)
  await queue(3)
  const waiting = await outbox.waiting(2)
  expect(waiting.map((message) => message.body['n'])).toEqual([1, 2])
  await outbox.markDelivered([waiting[1]?.id ?? ''])
  await outbox.markDelivered([])
  expect((await outbox.waiting(10)).map((message) => message.body['n'])).toEqual([1, 3])
})

it("a claimed message is nobody else's until its deliverer has had half a minute", async () => {
  const [one, other] = [createOutbox(lab.database, lab.clock), createOutbox(lab.database, lab.clock)]
  await queue(1, 2, 3)
  const [first, second] = await Promise.all([one.claim(2), other.claim(2)])
  expect([...first, ...second].map((message) => message.body['n'])).toEqual([1, 2, 3])
  await one.markDelivered(first.map(({ id }) => id))
  expect(await other.claim(10)).toEqual([])
  lab.clock.advance(30_000)
  expect((await one.claim(10)).map((message) => message.body['n'])).toEqual([3])
})

it('a message of a deed that fails is never queued', async () => {
  const failing = lab.deeds.commitDeed(async () => ({
    result: 0,
    events: [tell({ type: 'exec', details: { bad: undefined } })],
    outbox: [{ topic: 'request', body: {} }],
  }))
  await expect(failing).rejects.toThrow(TypeError)
  expect(await createOutbox(lab.database, lab.clock).waiting(10)).toEqual([])
})
