import type { ChatAct, ChatOutcome, FromChat, RawCallback } from '../../contract/from-chat.ts'
import type { ChatAccountsTable, IntegrationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { openedIntegration, settingsOf } from '../integrations/integrations.ts'
import { accountOf, offerLink } from './account-link.ts'
import { inboxKey, isHere, type Arrival, type KnownArrival } from './arrival.ts'
import { askByForm } from './ask-in-chat.ts'
import { findForm } from './chat-forms.ts'
import type { ChatParts } from './chat-parts.ts'
import type { Verified, VerifierParts } from './chat-verifier.ts'
import { readCommand } from './command-grammar.ts'
import { extendByForm } from './extend-in-chat.ts'
import { buttonOf, knownMessage, messageNamed, messageWithId } from './messages-of.ts'
import { AccountPace } from './pace.ts'
import { pressButton, ticketMoved } from './press-button.ts'
import { reviewByForm } from './review-in-chat.ts'
import { runCommand } from './run-command.ts'
import { toOutcome } from './to-outcome.ts'

const BODY_BYTES = 262_144
const LONGEST_ID = 500
/** A code that many can read is for the user alone whom the account named before. */
const SAID_TO_ALL: ReadonlySet<string> = new Set(['pagerduty'])

/**
 * The one way in for what people did at a vendor. It says itself whether a callback is authentic, who did it and what they may
 * do now; whoever calls it brings bytes and names nobody.
 */
export class ChatDoor implements FromChat {
  readonly #parts: ChatParts
  readonly #pace: AccountPace

  constructor(parts: ChatParts) {
    this.#parts = parts
    this.#pace = new AccountPace(parts.clock)
  }

  /** Errors: of the store alone; what came in is answered by an outcome. */
  async take(callback: RawCallback): Promise<ChatOutcome> {
    if (callback.body.byteLength > BODY_BYTES) return { kind: 'rejected', why: 'too_large' }
    const integration = await this.#find(callback.integration)
    if (!integration) return { kind: 'rejected', why: 'unknown_integration' }
    const verified = await this.#verify(integration, callback)
    if (verified.kind === 'rejected')
      this.#parts.reportRejected({ integration: integration.name, why: verified.why.slice(0, 60) })
    if (verified.kind !== 'event') return verified
    const { event } = verified
    const { account, eventId } = event
    if (eventId === '' || account.id === '' || [account.id, account.tenant].some((id) => id.length > LONGEST_ID))
      return { kind: 'ignored', why: 'nobody' }
    if (event.act.kind === 'other') return { kind: 'ignored', why: 'nothing was done' }
    const arrival = { integration, event, key: inboxKey(event) }
    if (await isHere(this.#parts.database.reads, arrival)) return { kind: 'ignored', why: 'repeated' }
    if (!this.#pace.allows(`${integration.id}\n${account.tenant}\n${account.id}`))
      return { kind: 'refused', text: 'You do that very often. Wait a minute.' }
    return await toOutcome(this.#act(arrival))
  }

  async #find(name: string): Promise<IntegrationsTable | null> {
    const found = await this.#parts.database.reads
      .selectFrom('integrations')
      .selectAll()
      .where('name', '=', name)
      .where('enabled', '=', 1)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    return found ?? null
  }

  async #verify(integration: IntegrationsTable, callback: RawCallback): Promise<Verified> {
    const { sealer, verifiers, log, checkRow } = this.#parts
    const verifier = verifiers.find(({ vendor }) => vendor === integration.vendor)
    if (!verifier) return { kind: 'rejected', why: 'no_verifier' }
    if ((await checkRow({ table: 'integrations', id: integration.id })) !== null)
      return { kind: 'rejected', why: 'row_altered' }
    try {
      return await verifier.verify(callback, openedIntegration(sealer, integration), this.#verifierParts(integration))
    } catch (error) {
      log.error({ integration: integration.name, err: kindOf(error) }, 'a callback could not be verified')
      return { kind: 'rejected', why: 'unreadable' }
    }
  }

  #verifierParts(integration: IntegrationsTable): VerifierParts {
    const { database, clock, fetchFor } = this.#parts
    const { reads } = database
    const networks = settingsOf(integration)['allow_networks']
    const allowed = Array.isArray(networks) ? networks.filter((each) => typeof each === 'string') : []
    return {
      integration: integration.name,
      now: clock.now(),
      messageOf: async (buttonId) => {
        const button = await buttonOf(reads, integration.id, buttonId)
        return button && knownMessage(await messageWithId(reads, button.message_id))
      },
      messageNamed: async (external) => knownMessage(await messageNamed(reads, integration.id, external)),
      fetch: fetchFor(allowed),
    }
  }

  async #act(arrival: Arrival): Promise<ChatOutcome> {
    const { account: known } = arrival.event
    const account = await accountOf(this.#parts.database.reads, arrival.integration.id, known)
    if (!account) return await this.#offer(arrival)
    const arrivalOfUser = await this.#known(arrival, account)
    return await this.#do(arrivalOfUser, arrival.event.act)
  }

  async #do(arrival: KnownArrival, act: ChatAct): Promise<ChatOutcome> {
    const parts = this.#parts
    switch (act.kind) {
      case 'button':
        return await pressButton(parts, arrival, act)
      case 'moved':
        return await ticketMoved(parts, arrival, act)
      case 'command':
        return await runCommand(parts, arrival, act.text)
      case 'form':
        return await this.#submit(arrival, act.nonce, act.fields)
      case 'other':
        return { kind: 'ignored', why: 'nothing was done' }
    }
  }

  async #submit(
    arrival: KnownArrival,
    nonce: string,
    fields: Readonly<Partial<Record<string, string>>>,
  ): Promise<ChatOutcome> {
    const { database, clock } = this.#parts
    const form = await findForm(database.reads, arrival, nonce, clock.now())
    if (form.kind === 'review') return reviewByForm(this.#parts, arrival, form, fields)
    if (form.kind === 'extend') return extendByForm(this.#parts, arrival, form, fields)
    return askByForm(this.#parts, arrival, form, fields)
  }

  /** Who it is here now, whatever it was when it was linked. */
  async #known(arrival: Arrival, account: ChatAccountsTable): Promise<KnownArrival> {
    const { database, checkRow } = this.#parts
    const trouble = await checkRow({ table: 'chat_accounts', id: account.id })
    if (trouble !== null)
      throw new Refused('row_altered', 'this link was edited beside the daemon: nothing is done by it')
    const user = await database.reads
      .selectFrom('users')
      .select(['id', 'name', 'disabled', 'service_owner_id'])
      .where('id', '=', account.user_id)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    // A program decides by a webhook that its document lets it, a person by an account of their own: never the other way round.
    if (!user || (user.service_owner_id !== null) !== (arrival.integration.vendor === 'webhook'))
      throw new Refused('not_allowed', 'the user that this account was linked with is not there any more')
    if (user.disabled === 1) throw new Refused('user_disabled', 'your account is disabled')
    return { ...arrival, account, user: { id: user.id, name: user.name } }
  }

  /** Whatever was wanted: first it must be known who wants it. */
  async #offer(arrival: Arrival): Promise<ChatOutcome> {
    const { act } = arrival.event
    const read = act.kind === 'command' ? readCommand(act.text) : null
    const user = read?.ok === true && read.command.kind === 'link' ? read.command.user : null
    if (user === null && SAID_TO_ALL.has(arrival.integration.vendor))
      throw new Refused('malformed', 'everybody reads the answer: write /access link NAME, with your name in Sallyport')
    const code = await offerLink(this.#parts, arrival, user)
    return {
      kind: 'open',
      text: `This account is not linked with a user of Sallyport yet. Run "sally chat link ${code}" where you are signed in, or open the page, within ten minutes. Give the code to nobody.`,
      url: `${this.#parts.publicUrl()}/link/${code}`,
    }
  }
}

const kindOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error)
