import type { Answers, PolicyAsker, Question } from '../access/automate/judge.ts'
import type { OnCallAsker, OnCallBasis } from '../access/automate/on-call.ts'
import { openedIntegration } from '../access/integrations/integrations.ts'
import { rowTrouble } from '../audit/check-row.ts'
import type { OnCallFact } from '../contract/policy.ts'
import { PagerDutySecrets, PagerDutySettings } from '../contract/vendors/pagerduty.ts'
import type { Clock } from '../foundation/clock.ts'
import type { IntegrationsTable } from '../foundation/database/tables.ts'
import type { Log } from '../foundation/log.ts'
import { outboundFetch } from '../foundation/outbound-fetch.ts'
import { readOnCall, type Sought } from '../notify/pagerduty/on-call.ts'
import { PagerDutyApi } from '../notify/pagerduty/pagerduty-api.ts'
import type { Store } from './open-store.ts'

interface OnCallParts {
  readonly store: Pick<Store, 'database' | 'sealer'>
  readonly clock: Clock
  readonly log: Log
}

/** Finds out who is on call before rules and policies are asked, so that they stay functions of their facts. */
export class FactsFirst implements PolicyAsker {
  readonly #policies: PolicyAsker
  readonly #onCall: OnCallAsker
  readonly #clock: Clock

  constructor(policies: PolicyAsker, onCall: OnCallAsker, clock: Clock) {
    this.#policies = policies
    this.#onCall = onCall
    this.#clock = clock
  }

  async ask(question: Question): Promise<Answers> {
    if (!question.onCall) return this.#policies.ask(question)
    const oncall = await this.#onCall.ask(question.onCall)
    // The question may have taken seconds: what is judged is judged as of the answer.
    return this.#policies.ask({ ...question, facts: { ...question.facts, now: this.#clock.now(), oncall } })
  }
}

/** Asks the PagerDuty integrations that name the duties. A duty that two of them name is no one's. */
export class PagerDutyOnCall implements OnCallAsker {
  readonly #parts: OnCallParts

  constructor(parts: OnCallParts) {
    this.#parts = parts
  }

  async ask(basis: OnCallBasis): Promise<Readonly<Record<string, OnCallFact>>> {
    const facts: Record<string, OnCallFact> = {}
    for (const { id } of basis.integrations) {
      for (const [duty, fact] of Object.entries(await this.#askOne(id, basis)))
        facts[duty] = Object.hasOwn(facts, duty) ? TWICE : fact
    }
    return facts
  }

  async #askOne(id: string, basis: OnCallBasis): Promise<Readonly<Record<string, OnCallFact>>> {
    try {
      const { database } = this.#parts.store
      const row = await database.reads.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirst()
      const links = basis.accounts.map((account) => ({ table: 'chat_accounts', id: account.row }) as const)
      for (const ref of [{ table: 'integrations', id } as const, ...links])
        if ((await rowTrouble(database, ref)) !== null) return {}
      if (!row) return {}
      return await this.#askAccount(row, basis)
    } catch (error) {
      this.#parts.log.error({ err: String(error), integration: id }, 'nobody could be asked who is on call')
      return {}
    }
  }

  async #askAccount(row: IntegrationsTable, basis: OnCallBasis): Promise<Readonly<Record<string, OnCallFact>>> {
    const opened = openedIntegration(this.#parts.store.sealer, row)
    const settings = PagerDutySettings.parse(opened.settings)
    const { api_token: token } = PagerDutySecrets.parse(opened.secrets)
    const { clock } = this.#parts
    const named = Object.entries(settings.oncall).filter(([duty]) => basis.duties?.includes(duty) ?? true)
    if (named.length === 0 || token === undefined) return {}
    const sought = soughtBy(row.id, settings, basis)
    if (!sought) return Object.fromEntries(named.map(([duty]) => [duty, UNKNOWN_PERSON]))
    const fetch = outboundFetch({ allowNetworks: settings.allow_networks })
    const api = new PagerDutyApi({ fetch, clock, url: settings.api_url, token, from: undefined })
    return readOnCall(api, sought, Object.fromEntries(named), clock)
  }
}

const TWICE: OnCallFact = { problem: 'two integrations name a duty so' }
const UNKNOWN_PERSON: OnCallFact = { on: false, why: 'no PagerDuty account is linked with the requester' }

/** The linked account, or the mail address that an administrator wrote, where the integration says so. */
function soughtBy(integration: string, { account, match_email }: PagerDutySettings, basis: OnCallBasis): Sought | null {
  const linked = basis.accounts.filter((each) => each.integration === integration && each.tenant === account)
  const [one, ...more] = linked
  if (one) return more.length === 0 ? { account: one.id } : null
  return match_email && basis.email !== null ? { email: basis.email } : null
}
