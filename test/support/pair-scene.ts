// Two daemons on one PostgreSQL store with what most tests of them start from: a node db-box behind A that the role dba opens,
// alice, who lives on A and may ask for it, and bob on B, who reviews it.
import { startPair, type DaemonPair, type PairOptions } from './daemon-pair.ts'
import type { Account } from './sallyport.ts'

export interface PairScene extends DaemonPair {
  readonly alice: Account
  readonly bob: Account
}

/** `request`: more of the block that lets alice ask. */
export async function startPairScene(
  options: PairOptions = {},
  request: Readonly<Record<string, unknown>> = {},
): Promise<PairScene> {
  const pair = await startPair(options)
  try {
    const { a, b } = pair
    const role = (name: string, allow: Record<string, unknown>): Promise<void> =>
      a.role({ kind: 'role', metadata: { name }, spec: { allow } })
    await a.startNode('db-box', { service: 'database' })
    await role('dba', { logins: [a.login], node_labels: { service: 'database' } })
    await role('engineer', { request: { roles: ['dba'], max_duration: '4h', ...request } })
    await role('reviewer', { review_requests: { roles: ['dba'] } })
    await a.user('alice', ['engineer'])
    await b.user('bob', ['reviewer'])
    return { ...pair, alice: await a.signIn('alice'), bob: await b.signIn('bob') }
  } catch (error) {
    await pair.stop()
    throw error
  }
}
