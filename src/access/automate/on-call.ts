import type { OnCallFact } from '../../contract/policy.ts'
import { dutiesIn } from '../../identity/conditions.ts'
import type { Directory, Reader } from '../directory.ts'
import type { RequestFacts } from '../route/route-request.ts'
import { rolesOfRule } from './judge-rules.ts'

/** What it rests on that somebody has a duty: with any other basis it is asked anew. */
export interface OnCallBasis {
  readonly userId: string
  /** Duties that rules ask for; null: all there are, for policies */
  readonly duties: readonly string[] | null
  /** PagerDuty integrations that are switched on, each with the event that last changed it */
  readonly integrations: readonly { readonly id: string; readonly event: string }[]
  /** Accounts that are linked to the requester */
  readonly accounts: readonly {
    readonly row: string
    readonly integration: string
    readonly tenant: string
    readonly id: string
  }[]
  /** As an administrator wrote it */
  readonly email: string | null
}

/** Asks the products that know who is on call. Outside of every transaction. */
export interface OnCallAsker {
  /** Never rejects: what cannot be known has a problem. */
  ask(basis: OnCallBasis): Promise<Readonly<Record<string, OnCallFact>>>
}

/** Duties that the rules about these roles ask for; null: policies may ask for any. */
export function dutiesAsked(
  { reviewRules, policies }: Pick<Directory, 'reviewRules' | 'policies'>,
  { roles }: Pick<RequestFacts, 'roles'>,
): readonly string[] | null {
  if (policies.length > 0) return null
  const asked = reviewRules.flatMap((rule) =>
    rule.spec.condition === undefined || rolesOfRule(rule, roles).length === 0 ? [] : dutiesIn(rule.spec.condition),
  )
  return [...new Set(asked)].sort()
}

/** Null: no duty is of interest. The facts come from the last commit, as policies' do; whether they still rest on this is looked up in the deed. */
export async function onCallBasis(
  reader: Reader,
  directory: Pick<Directory, 'reviewRules' | 'policies'>,
  facts: Pick<RequestFacts, 'roles'>,
  userId: string,
): Promise<OnCallBasis | null> {
  const duties = dutiesAsked(directory, facts)
  if (duties?.length === 0) return null
  const integrations = await reader
    .selectFrom('integrations')
    .select(['id', 'event_id as event'])
    .where('vendor', '=', 'pagerduty')
    .where('enabled', '=', 1)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .execute()
  if (duties === null && integrations.length === 0) return null
  const accounts = await reader
    .selectFrom('chat_accounts')
    .select(['id as row', 'integration_id as integration', 'tenant', 'external_id as id'])
    .where('user_id', '=', userId)
    .where('vendor', '=', 'pagerduty')
    .where('ended_at', 'is', null)
    .orderBy('id')
    .execute()
  const person = await reader.selectFrom('users').select('email').where('id', '=', userId).executeTakeFirst()
  return { userId, duties, integrations, accounts, email: person?.email ?? null }
}
