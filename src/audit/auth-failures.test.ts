import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AuditLab, openAuditLab } from '../../test/support/audit-lab.ts'
import { silentLog } from '../foundation/log.ts'
import { AuthFailures } from './auth-failures.ts'

let lab: AuditLab
let failures: AuthFailures

beforeEach(async () => {
  lab = await openAuditLab()
  failures = new AuthFailures(lab.deeds, lab.clock, silentLog)
})
afterEach(() => lab.remove())

async function stored(): Promise<Record<string, unknown>[]> {
  const rows = await lab.database.reads.selectFrom('audit_events').selectAll().where('type', '=', 'auth.fail').execute()
  return rows.map((row) => JSON.parse(row.details_json ?? '') as Record<string, unknown>)
}

describe('failed sign-ins', () => {
  it('become one event per address and ten seconds', async () => {
    for (let index = 0; index < 500; index++)
      failures.report({ address: '10.0.0.1', code: 'bad_credentials', user: 'eve' })
    failures.report({ address: '10.0.0.1', code: 'certificate_invalid' })
    failures.report({ address: '10.0.0.2', code: 'certificate_invalid' })
    lab.clock.advance(9_999)
    expect(await stored()).toEqual([])
    lab.clock.advance(1)
    await expect.poll(async () => (await stored()).length).toBe(2)
    expect((await stored())[0]).toMatchObject({
      address: '10.0.0.1',
      count: 501,
      codes: { bad_credentials: 500, certificate_invalid: 1 },
      users: ['eve'],
    })
  })

  it('from more than a thousand addresses are counted together', async () => {
    for (let index = 0; index < 1500; index++) failures.report({ address: `a${String(index)}`, code: 'x' })
    await failures.flush()
    const all = await stored()
    expect(all).toHaveLength(1001)
    expect(all.find((details) => details['address'] === 'other')).toMatchObject({ count: 500 })
  })

  it('keep their memory small whatever codes and names are tried', async () => {
    for (let index = 0; index < 1000; index++)
      failures.report({ address: 'a', code: `c${String(index)}`, user: `u${String(index)}` })
    await failures.flush()
    const [details] = await stored()
    expect(Object.keys(details?.['codes'] as object)).toHaveLength(21)
    expect(details?.['users']).toHaveLength(20)
    expect(details?.['count']).toBe(1000)
  })

  it('are counted on when they cannot be stored', async () => {
    failures.report({ address: 'a', code: 'x', user: 'eve' })
    lab.deeds.becomeReadOnly('test')
    await failures.flush()
    failures.report({ address: 'a', code: 'x' })
    await lab.deeds.commitAcceptance(async () => ({
      result: 0,
      events: [{ type: 'audit.accept_rollback', actor: { kind: 'system', id: null, name: 's' }, outcome: 'success' }],
    }))
    await failures.flush()
    expect(await stored()).toEqual([{ address: 'a', count: 2, codes: { x: 2 }, users: ['eve'], windowMs: 10_000 }])
  })
})
