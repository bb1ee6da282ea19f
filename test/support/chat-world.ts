import { ChatDoor } from '../../src/access/from-chat/chat-door.ts'
import { linkAccount, type Linker } from '../../src/access/from-chat/chat-accounts.ts'
import type { ChatVerifier } from '../../src/access/from-chat/chat-verifier.ts'
import { buttonHash } from '../../src/access/from-chat/secret-text.ts'
import { putIntegration } from '../../src/access/integrations/integrations.ts'
import { rowTrouble } from '../../src/audit/check-row.ts'
import type { ChatAct, ChatEvent, ChatOutcome, RawCallback } from '../../src/contract/from-chat.ts'
import { IntegrationDocument } from '../../src/contract/integration.ts'
import { MESSAGE_BUTTONS, type MessageButton } from '../../src/contract/message.ts'
import { silentLog } from '../../src/foundation/log.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { createSealer, type Sealer } from '../../src/identity/sealing.ts'
import { createSecretKey, randomBytes } from 'node:crypto'
import type { AccessWorld } from './access-world.ts'
import type { ManualClock } from './manual-clock.ts'

const ADMIN = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const

/** Believes a callback whose header `x-proof` holds the bot token of the integration, and what its JSON body then says. */
export const plainVerifier: ChatVerifier = {
  vendor: 'slack',
  verify(callback, { secrets, settings }) {
    const { bot_token: token } = secrets as { bot_token: string }
    if (callback.headers['x-proof'] !== token) return { kind: 'rejected', why: 'signature' }
    const event = JSON.parse(Buffer.from(callback.body).toString()) as ChatEvent
    const { team_id: team } = settings as { team_id: string }
    return event.account.tenant === team ? { kind: 'event', event } : { kind: 'rejected', why: 'other_tenant' }
  },
}

export const TOKEN = 'xoxb-a-token-of-the-test'
export const TEAM = 'T0TEST'

/** What people do in chat, over the request engine of an AccessWorld: accounts are `U` and the name in capitals. */
export class ChatWorld<C extends Clock = ManualClock> {
  readonly access: AccessWorld<C>
  readonly sealer: Sealer
  readonly door: ChatDoor
  readonly rejected: string[] = []
  #event = 0
  #message = 0

  constructor(access: AccessWorld<C>, sealer: Sealer = testSealer()) {
    this.access = access
    this.sealer = sealer
    this.door = this.openDoor()
  }

  /** A further way in on the same store, as after a restart or of another daemon. */
  openDoor(): ChatDoor {
    const { database, deeds, clock, requests } = this.access
    return new ChatDoor({
      ...{ database, deeds, clock, requests, log: silentLog, sealer: this.sealer },
      verifiers: [plainVerifier],
      fetchFor: () => () => Promise.reject(new Error('nothing is fetched here')),
      publicUrl: () => 'https://sallyport.test',
      checkRow: (ref) => rowTrouble(database, ref),
      reportRejected: ({ integration, why }) => void this.rejected.push(`${integration}: ${why}`),
    })
  }

  async integration(name = 'chat', more: object = {}): Promise<string> {
    const spec = {
      ...{ vendor: 'slack', team_id: TEAM, app_id: 'A0TEST', mode: 'http' },
      ...{ secrets: { bot_token: TOKEN, signing_secret: 'a signing secret of the test' }, ...more },
    }
    const document = IntegrationDocument.parse({ kind: 'integration', metadata: { name }, spec })
    const { deeds } = this.access
    return (await putIntegration({ deeds, sealer: this.sealer }, ADMIN, document, true)).id
  }

  /** Does something as the account; each time another event, unless its id is given. */
  async does(who: string, act: ChatAct, more: More = {}): Promise<ChatOutcome> {
    return await (more.door ?? this.door).take(this.callback(who, act, more))
  }

  callback(who: string, act: ChatAct, more: More = {}): RawCallback {
    const account = { tenant: more.tenant ?? TEAM, id: more.account ?? `U${who.toUpperCase()}`, name: who }
    const event: ChatEvent = { eventId: more.eventId ?? `event ${++this.#event}`, account, act }
    return {
      ...{ integration: more.integration ?? 'chat', path: 'interactions', via: 'http' },
      headers: { 'x-proof': more.proof ?? TOKEN },
      body: Buffer.from(JSON.stringify(event)),
    }
  }

  types(who: string, text: string, more: More = {}): Promise<ChatOutcome> {
    return this.does(who, { kind: 'command', text }, more)
  }

  presses(who: string, button: MessageButton, buttonId: string, more: More = {}): Promise<ChatOutcome> {
    return this.does(who, { kind: 'button', button, buttonId, message: more.message ?? null }, more)
  }

  /** Sends the form that the outcome asks for. */
  sends(who: string, outcome: ChatOutcome, fields: Record<string, string>, more: More = {}): Promise<ChatOutcome> {
    if (outcome.kind !== 'form') throw new Error(`no form but ${JSON.stringify(outcome)}`)
    return this.does(who, { kind: 'form', nonce: outcome.form.nonce, fields }, more)
  }

  /** The account says `/access link`, and the user confirms the code. */
  async link(who: string, user = who, more: More = {}): Promise<string> {
    const code = await this.code(who, more)
    return (await this.confirmLink(user, code)).id
  }

  async code(who: string, more: More = {}): Promise<string> {
    const offered = await this.types(who, 'link', more)
    const code = offered.kind === 'open' ? /\/link\/([0-9a-z-]+)$/.exec(offered.url)?.[1] : undefined
    if (code === undefined) throw new Error(`no code but ${JSON.stringify(offered)}`)
    return code
  }

  confirmLink(user: string, code: string, more: Partial<Linker> = {}) {
    const { database, deeds, clock } = this.access
    const actor = { kind: 'user', id: `usr_${user}`, name: user } as const
    const linker = { actor, userId: actor.id, loginId: `lgn_${user}`, confirmation: null, isProven: false, ...more }
    return linkAccount({ database, deeds, clock }, linker, code)
  }

  /** Stores what a message of the integration shows now; the id that its buttons carry. */
  async message(requestId: string, integrationId: string, more: Shown = {}): Promise<string> {
    const { database, clock } = this.access
    const request = await this.access.show(requestId)
    const buttonId = randomBytes(16).toString('hex')
    const id = more.id ?? `msg_${++this.#message}`
    const now = clock.now()
    await database.transact(async (tx) => {
      if (more.id === undefined)
        await tx
          .insertInto('messages')
          .values({
            ...{ id, integration_id: integrationId, kind: 'request', request_id: requestId, audience: 'channel' },
            ...{ destination: `channel:C${id}`, channel: `C${id}`, user_id: null, account: null, notice_json: null },
            ...{ thread_of: null, once_id: id, external: `C${id}:1`, desired_version: 1, rendered_version: 1 },
            ...{ state: 'settled', attempts: 0, due_at: now, lease_until: null, leased_by: null, failure_kind: null },
            ...{ failure: null, failed_at: null, created_at: now, changed_at: now, expires_at: null },
            ...{ after_ms: null, content_hash: null },
          })
          .execute()
      await tx
        .insertInto('message_buttons')
        .values({
          ...{
            button_hash: buttonHash(buttonId),
            message_id: id,
            integration_id: integrationId,
            request_id: requestId,
          },
          ...{ version: request.version, buttons_json: JSON.stringify(more.buttons ?? MESSAGE_BUTTONS) },
          ...{ request_digest: request.requestDigest, facts_digest: request.factsDigest, pressed_external: null },
          shown_json: JSON.stringify({ durationMs: request.grantedDuration, startAt: request.grantedStart }),
          created_at: now,
        })
        .execute()
    })
    return buttonId
  }
}

interface More {
  readonly eventId?: string
  readonly tenant?: string
  readonly account?: string
  readonly integration?: string
  readonly proof?: string
  readonly message?: string
  readonly door?: ChatDoor
}

interface Shown {
  readonly id?: string
  readonly buttons?: readonly MessageButton[]
}

export const testSealer = (): Sealer =>
  createSealer({ id: '0123456789abcdef', key: createSecretKey(Buffer.alloc(32, 7)) } as Parameters<
    typeof createSealer
  >[0])
