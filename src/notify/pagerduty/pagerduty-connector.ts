import { z } from 'zod'
import type { CallbackAnswer, FromChat, RawCallback } from '../../contract/from-chat.ts'
import type { MessageTask, RequestView } from '../../contract/message.ts'
import type { PagerDutySecrets, PagerDutySettings } from '../../contract/vendors/pagerduty.ts'
import { sleep } from '../../foundation/clock.ts'
import { DeliveryFailed, type CheckLine, type Connector, type ConnectorParts } from '../connector.ts'
import { within } from '../within.ts'
import { sendEvent } from './events-api.ts'
import { PagerDutyApi } from './pagerduty-api.ts'
import { incidentOf, noteOf } from './render-incident.ts'

/** How often it is looked whether PagerDuty has switched our webhook off. */
const SUBSCRIPTION_EVERY_MS = 300_000
/** PagerDuty gives up on a webhook after five. */
const REPLY_WITHIN_MS = 3500

const Incident = z.object({ incident: z.object({ id: z.string(), status: z.string() }) })
const Incidents = z.object({ incidents: z.array(z.object({ id: z.string(), status: z.string() })) })
const Notes = z.object({
  notes: z.array(z.object({ id: z.string(), content: z.string(), created_at: z.string().nullish() })),
})
const Note = z.object({ note: z.object({ id: z.string() }) })
const Subscription = z.object({
  webhook_subscription: z.object({
    active: z.boolean().optional(),
    delivery_method: z.object({ temporarily_disabled: z.boolean().optional() }),
  }),
})
const Named = z.object({ id: z.string(), name: z.string().optional() })
const Services = z
  .object({ services: z.array(Named), more: z.boolean().default(false) })
  .transform((page) => ({ items: page.services, more: page.more }))
/** Of a webhook: where an answer is written, never who did what. */
const About = z.object({
  event: z.object({ event_type: z.string(), data: z.object({ incident: z.object({ id: z.string() }) }) }),
})

/** An event or an incident for each request. Nothing is decided by triage: what is acknowledged or resolved there is not answered. */
export class PagerDutyConnector implements Connector {
  readonly vendor = 'pagerduty'
  readonly #parts: ConnectorParts<PagerDutySettings, PagerDutySecrets>
  readonly #api: PagerDutyApi | null

  constructor(parts: ConnectorParts<PagerDutySettings, PagerDutySecrets>) {
    this.#parts = parts
    const { api_token: token } = parts.secrets
    const { api_url: url, from } = parts.settings
    this.#api =
      token === undefined ? null : new PagerDutyApi({ fetch: parts.fetch, clock: parts.clock, url, token, from })
  }

  async deliver(task: MessageTask, signal: AbortSignal): Promise<string> {
    const { content, destination, external, thread } = task
    if (content.kind === 'notice') return external ?? this.#say(noteOf(content.view), thread, signal)
    const service = destination.channel
    if (service === null) throw new DeliveryFailed('destination', 'PagerDuty tells services, and no one person')
    return this.#parts.settings.mode === 'events'
      ? this.#event(service, external, content.view, signal)
      : this.#incident(service, external, content.view, signal)
  }

  /**
   * The key of an incident is the request's, and PagerDuty refuses a second open one. It is looked for all the same: somebody may
   * have resolved the first one since. Events are one alert by their key, and cannot be looked for.
   */
  async find(
    { content, destination, thread }: MessageTask,
    since: number,
    signal: AbortSignal,
  ): Promise<string | null> {
    if (this.#parts.settings.mode === 'events') return null
    if (content.kind === 'request')
      return destination.channel === null ? null : this.#incidentOf(destination.channel, content.view.id, signal)
    const note = thread === null ? null : await this.#findNote(thread, noteOf(content.view), since, signal)
    return note === null ? null : `${thread}/${note}`
  }

  async #event(service: string, external: string | null, view: RequestView, signal: AbortSignal): Promise<string> {
    const { settings, secrets, fetch, clock } = this.#parts
    const key = secrets.routing_keys[service]
    if (key === undefined) throw new DeliveryFailed('destination', `there is no integration key for ${service}`)
    const parts = { fetch, clock, url: settings.events_url }
    if (external === null) await sendEvent(parts, key, 'trigger', view, signal)
    if (view.state !== 'pending') await sendEvent(parts, key, 'resolve', view, signal)
    return view.id
  }

  async #incident(service: string, external: string | null, view: RequestView, signal: AbortSignal): Promise<string> {
    const id = external ?? (await this.#create(service, view, signal))
    if (view.state !== 'pending') await this.#resolve(id, incidentOf(view).state, signal)
    return id
  }

  async #create(service: string, view: RequestView, signal: AbortSignal): Promise<string> {
    const { title, details } = incidentOf(view)
    const incident = {
      type: 'incident',
      title,
      service: { id: service, type: 'service_reference' },
      urgency: view.kind === 'break_glass' ? 'high' : this.#parts.settings.urgency,
      incident_key: view.id,
      body: { type: 'incident_body', details },
    }
    // With a key that is there already PagerDuty refuses: then it is what an earlier attempt made.
    const { answer, json } = await this.#rest().send('POST', '/incidents', {
      body: { incident },
      signal,
      ok: [400, 409],
    })
    const made = Incident.safeParse(json)
    if (answer.status < 300 && made.success) return made.data.incident.id
    const found = await this.#incidentOf(service, view.id, signal)
    if (found !== null) return found
    throw new DeliveryFailed('defect', `PagerDuty: the incident was refused (${answer.status})`)
  }

  /** An open one, if there is any. */
  async #incidentOf(service: string, key: string, signal: AbortSignal): Promise<string | null> {
    const query = [
      ['incident_key', key],
      ['service_ids[]', service],
      ['date_range', 'all'],
    ] as const
    const { value } = await this.#rest().get('/incidents', Incidents, query, signal)
    const open = value.incidents.find(({ status }) => status !== 'resolved')
    return (open ?? value.incidents[0])?.id ?? null
  }

  async #resolve(id: string, resolution: string, signal: AbortSignal): Promise<void> {
    const path = `/incidents/${encodeURIComponent(id)}`
    const incident = { type: 'incident_reference', status: 'resolved', resolution }
    const { answer } = await this.#rest().send('PUT', path, { body: { incident }, signal, ok: [400] })
    if (answer.status < 300) return
    const { value } = await this.#rest().get(path, Incident, [], signal)
    if (value.incident.status !== 'resolved')
      throw new DeliveryFailed('defect', 'PagerDuty: the incident stays open (400)')
  }

  async #say(content: string, thread: string | null, signal: AbortSignal): Promise<string> {
    if (thread === null) throw new DeliveryFailed('destination', 'PagerDuty has notes of incidents, and nothing else')
    // Events have no notes: whoever follows one opens the request.
    if (this.#parts.settings.mode === 'events') return thread
    return `${thread}/${await this.#note(thread, content, signal)}`
  }

  async #findNote(incident: string, content: string, since: number, signal: AbortSignal): Promise<string | null> {
    const { value } = await this.#rest().get(notesOf(incident), Notes, [], signal)
    const found = value.notes.find((note) => note.content === content && !(Date.parse(note.created_at ?? '') < since))
    return found?.id ?? null
  }

  async #note(incident: string, content: string, signal: AbortSignal): Promise<string> {
    const { json } = await this.#rest().send('POST', notesOf(incident), { body: { note: { content } }, signal })
    const made = Note.safeParse(json)
    return made.success ? made.data.note.id : 'note'
  }

  #rest(): PagerDutyApi {
    if (this.#api) return this.#api
    throw new DeliveryFailed('integration', 'PagerDuty: there is no token of the REST API')
  }

  /** Whatever it was, a well signed webhook is taken: after three that are not, PagerDuty switches the subscription off. */
  async receive(callback: RawCallback, fromChat: FromChat): Promise<CallbackAnswer> {
    const outcome = await fromChat.take(callback)
    if (outcome.kind === 'rejected') return { status: 401 }
    if (outcome.kind === 'open' || outcome.kind === 'refused' || outcome.kind === 'done')
      await this.#reply(callback, noteOf({ text: outcome.text, url: outcome.kind === 'open' ? outcome.url : null }))
    return { status: 202 }
  }

  async #reply(callback: RawCallback, content: string): Promise<void> {
    try {
      const about = About.safeParse(JSON.parse(Buffer.from(callback.body).toString('utf8')))
      if (!about.success || !this.#api) return
      const { id } = about.data.event.data.incident
      await within(this.#parts.clock, REPLY_WITHIN_MS, 'it took too long', (signal) => this.#note(id, content, signal))
    } catch (error) {
      this.#parts.log.warn({ err: String(error) }, 'PagerDuty did not take an answer')
    }
  }

  /** Switches the webhook subscription on again when PagerDuty has switched it off. */
  async listen(_fromChat: FromChat, signal: AbortSignal): Promise<void> {
    const { clock, log, report, settings } = this.#parts
    while (!signal.aborted) {
      try {
        if (settings.webhook_subscription !== undefined)
          await this.#keepSubscribed(settings.webhook_subscription, signal)
        report(null)
      } catch (error) {
        if (error instanceof DeliveryFailed && error.kind === 'integration') report(error.message)
        else log.warn({ err: String(error) }, 'the webhook subscription of PagerDuty could not be looked at')
      }
      await sleep(clock, SUBSCRIPTION_EVERY_MS, signal).catch(() => {})
    }
  }

  async #keepSubscribed(id: string, signal: AbortSignal): Promise<void> {
    const path = `/webhook_subscriptions/${encodeURIComponent(id)}`
    const { value } = await this.#rest().get(path, Subscription, [], signal)
    const { active, delivery_method: method } = value.webhook_subscription
    if (active !== false && method.temporarily_disabled !== true) return
    await this.#rest().send('POST', `${path}/enable`, { signal })
    this.#parts.log.warn({ subscription: id }, 'PagerDuty had switched the webhook subscription off; it is on again')
  }

  async check(channels: readonly string[], signal: AbortSignal): Promise<readonly CheckLine[]> {
    const { settings, secrets } = this.#parts
    if (settings.mode === 'events')
      return channels.map((service) => {
        const ok = secrets.routing_keys[service] !== undefined
        return { ok, text: ok ? `there is an integration key for ${service}` : `no integration key for ${service}` }
      })
    try {
      const { value } = await this.#rest().list('/services', Services, [], signal)
      return channels.map((service) => {
        const found = value.find(({ id }) => id === service)
        return found
          ? { ok: true, text: `service ${service} is "${found.name ?? ''}"` }
          : { ok: false, text: `the token sees no service ${service}` }
      })
    } catch (error) {
      return [{ ok: false, text: error instanceof Error ? error.message : String(error) }]
    }
  }
}

const notesOf = (incident: string): string => `/incidents/${encodeURIComponent(incident)}/notes`
