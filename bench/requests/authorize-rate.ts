import { decideAccess } from '../../src/connection/decide-access.ts'
import { seededStore } from '../../test/support/seeded-store.ts'

const HOUR = 3_600_000

/** authorize()'s rule over a snapshot with 1,000 roles and 200 running grants of 40 people: decisions per second, run by run. */
export async function authorizeRates(runs: number, decisions: number): Promise<number[]> {
  const store = await seededStore()
  try {
    for (let n = 0; n < 1000; n++)
      await store.role(`r${n}`, { allow: { logins: [`login${n % 7}`], node_labels: { team: `t${n % 50}` } } })
    await store.role('asker', { allow: { request: { roles: ['r*'] } } })
    for (let n = 0; n < 50; n++) await store.node(`n${n}`, { team: `t${n}` })
    for (let n = 0; n < 40; n++) {
      await store.user(`u${n}`, ['asker'])
      await store.login(`u${n}`)
    }
    for (let n = 0; n < 200; n++) await store.grant(String(n), `u${n % 40}`, `r${n}`, HOUR)
    const now = store.clock.now()
    const rates: number[] = []
    for (let run = 0; run < runs; run++) {
      const started = performance.now()
      for (let n = 0; n < decisions; n++) {
        const grant = n % 200
        const name = `u${grant % 40}`
        const question = {
          userId: `usr_${name}`,
          loginSessionId: `lgn_${name}`,
          keyFingerprint: `SHA256:${name}`,
          protocol: 'ssh' as const,
          node: `n${grant % 50}`,
          login: `login${grant % 7}`,
          live: null,
        }
        const decision = decideAccess(store.snapshot, question, now)
        if (!decision.ok) throw new Error(`${name} was not let in: ${decision.ended}`)
      }
      rates.push(decisions / ((performance.now() - started) / 1000))
    }
    return rates
  } finally {
    await store.deeds.close()
    await store.database.close()
  }
}
