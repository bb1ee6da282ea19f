import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { admin, type AuditLab, fillLab, openAuditLab } from '../../test/support/audit-lab.ts'
import { acceptRollback } from '../audit/accept-rollback.ts'
import { verifyAudit } from '../audit/verify/verify-audit.ts'
import { routes } from '../contract/routes.ts'
import { silentLog } from '../foundation/log.ts'
import { auditHandlers } from './audit.ts'
import type { CallContext } from './handler.ts'

let lab: AuditLab
let runs: number

beforeEach(async () => {
  lab = await openAuditLab()
  runs = 0
})
afterEach(() => lab.remove())

const context = {
  actor: { kind: 'user', id: 'usr_a', name: 'alice' },
  login: { id: 'lgn_a', userId: 'usr_a', secondFactorAt: null },
  local: false,
  address: '10.0.0.1',
  signal: new AbortController().signal,
  log: silentLog,
} as CallContext

function handlers() {
  return auditHandlers({
    database: lab.database,
    deeds: lab.deeds,
    verify: async () => {
      runs += 1
      return await verifyAudit({ database: lab.databaseFile, outside: lab.anchorFile })
    },
    acceptRollback: (actor, reason) =>
      acceptRollback(lab.deeds, { actor, reason, lost: lab.outside.last(), sign: lab.signText }),
  })
}

const none = { params: {}, query: undefined, body: undefined }
const search = async (query: Record<string, string>) =>
  routes.searchAudit.answer.parse(
    await handlers().searchAudit?.(context, { ...none, query: routes.searchAudit.query.parse(query) }),
  )

describe('the audit routes', () => {
  it('tell of each search, with its filters, before they answer it', async () => {
    await fillLab(lab, 3, 3)
    const page = await search({ type: 'lock.create', limit: '2' })
    expect(page.items.map((event) => event.resource?.name)).toEqual(['lck_0003', 'lck_0002'])
    const [told] = (await search({ type: 'audit.search' })).items.slice(1)
    expect(told).toMatchObject({ actor: context.actor, login: 'lgn_a', details: { type: 'lock.create', limit: 2 } })
  })

  it('answer no search that cannot be told of', async () => {
    lab.deeds.becomeReadOnly('test')
    await expect(search({})).rejects.toMatchObject({ code: 'read_only' })
  })

  it('verify once for all who ask at the same time', async () => {
    await fillLab(lab, 3, 3)
    const { verifyAudit: verify } = handlers()
    const answers = await Promise.all([verify?.(context, none), verify?.(context, none)])
    expect(runs).toBe(1)
    for (const answer of answers) expect(routes.verifyAudit.answer.parse(answer).problems).toEqual([])
    await verify?.(context, none)
    expect(runs).toBe(2)
  })

  it('store an event when verification finds something, and answer even when they cannot', async () => {
    await fillLab(lab, 3, 3)
    await lab.database.transact((tx) =>
      tx.updateTable('audit_events').set({ outcome: 'refused' }).where('seq', '=', 2).execute(),
    )
    const answer = routes.verifyAudit.answer.parse(await handlers().verifyAudit?.(context, none))
    expect(answer.problems[0]).toMatchObject({ kind: 'event_edited', where: 'event 2' })
    const told = await search({ type: 'audit.verify_failed' })
    expect(told.items[0]).toMatchObject({ outcome: 'failure', details: { first: { where: 'event 2' } } })
    lab.deeds.becomeReadOnly('test')
    const again = routes.verifyAudit.answer.parse(await handlers().verifyAudit?.(context, none))
    expect(again.problems).toHaveLength(1)
  })

  it('accept a rollback in the name of who called', async () => {
    const accept = handlers().acceptRollback
    const input = { ...none, body: { reason: 'backup of noon' } }
    await expect(accept?.({ ...context, actor: admin, local: true }, input)).rejects.toMatchObject({
      code: 'changed_meanwhile',
    })
    lab.deeds.becomeReadOnly('test')
    await accept?.({ ...context, actor: admin, local: true }, input)
    const { items } = await search({ type: 'audit.accept_rollback' })
    expect(items[0]).toMatchObject({ actor: admin, details: { reason: 'backup of noon', why: 'test' } })
  })
})
