import { z } from 'zod'
import { refusal, type Answer, type Call, type Incident, type PagerDutyHouse } from './house.ts'

type Handle = (pagerduty: PagerDutyHouse, call: Call, parts: readonly string[]) => Answer

// What PagerDuty takes of the calls that we make, and no key more.

const Event = z.strictObject({
  routing_key: z.string().length(32),
  event_action: z.enum(['trigger', 'acknowledge', 'resolve']),
  dedup_key: z.string().min(1).max(255),
  payload: z
    .strictObject({
      summary: z.string().min(1).max(1024),
      source: z.string().min(1),
      severity: z.enum(['critical', 'error', 'warning', 'info']),
      component: z.string().optional(),
      group: z.string().optional(),
      class: z.string().optional(),
      custom_details: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  client: z.string().optional(),
  client_url: z.url().optional(),
  links: z.array(z.strictObject({ href: z.url(), text: z.string() })).optional(),
})

const NewIncident = z.strictObject({
  incident: z.strictObject({
    type: z.literal('incident'),
    title: z.string().min(1).max(1024),
    service: z.strictObject({ id: z.string(), type: z.literal('service_reference') }),
    urgency: z.enum(['high', 'low']).optional(),
    incident_key: z.string().max(255).optional(),
    body: z.strictObject({ type: z.literal('incident_body'), details: z.string() }).optional(),
  }),
})

const Update = z.strictObject({
  incident: z.strictObject({
    type: z.enum(['incident', 'incident_reference']),
    status: z.enum(['resolved', 'acknowledged', 'triggered']).optional(),
    resolution: z.string().optional(),
  }),
})

const Note = z.strictObject({ note: z.strictObject({ content: z.string().min(1) }) })

function taken<S extends z.ZodType>(shape: S, body: unknown, then: (value: z.output<S>) => Answer): Answer {
  const parsed = shape.safeParse(body)
  return parsed.success ? then(parsed.data) : refusal(400, 2001, z.prettifyError(parsed.error))
}

/** In whose name: a user of the account, by mail address. */
const inName =
  (handle: Handle): Handle =>
  (pagerduty, call, parts) => {
    const isUser = pagerduty.users.some(({ email }) => email === call.from)
    return isUser ? handle(pagerduty, call, parts) : refusal(400, 2001, 'Requester User Not Found: the From header')
  }

const shown = ({ id, key, status, title }: Incident): object => ({
  id,
  type: 'incident',
  incident_key: key,
  status,
  title,
})

const enqueue: Handle = (pagerduty, { body }) =>
  taken(Event, body, ({ routing_key, event_action, dedup_key, payload }) => {
    if (routing_key !== pagerduty.routingKey)
      return { status: 400, body: { status: 'invalid event', errors: ['routing_key is unknown'] } }
    const known = pagerduty.alerts.get(dedup_key)
    if (event_action === 'trigger') {
      if (!payload) return { status: 400, body: { status: 'invalid event', errors: ["'payload' is missing"] } }
      const summary = known?.summary ?? payload.summary
      const alert = known ?? { key: dedup_key, service: pagerduty.service, summary, triggers: [], state: 'triggered' }
      alert.triggers.push(body)
      pagerduty.alerts.set(dedup_key, { ...alert, state: 'triggered' })
    } else if (known) known.state = 'resolved'
    return { status: 202, body: { status: 'success', message: 'Event processed', dedup_key } }
  })

const createIncident = inName((pagerduty, { body, from = '' }) =>
  taken(NewIncident, body, ({ incident }) => {
    if (incident.service.id !== pagerduty.service) return refusal(400, 2001, 'Service Not Found')
    const key = incident.incident_key ?? pagerduty.newId()
    const open = [...pagerduty.incidents.values()].some((each) => each.key === key && each.status !== 'resolved')
    if (open) return refusal(400, 2002, 'Open incident with matching dedup key already exists on this service')
    const id = pagerduty.newId('Q')
    const { title, body: details } = incident
    const made: Incident = {
      ...{ id, key, title, service: incident.service.id, details: details?.details ?? '', by: from },
      ...{ status: 'triggered', resolution: null, notes: [] },
    }
    pagerduty.incidents.set(id, made)
    return { status: 201, body: { incident: shown(made) } }
  }),
)

const withIncident =
  (handle: (pagerduty: PagerDutyHouse, call: Call, incident: Incident) => Answer): Handle =>
  (pagerduty, call, [id = '']) => {
    const incident = pagerduty.incidents.get(id)
    return incident
      ? handle(pagerduty, call, incident)
      : { status: 404, body: { error: { message: 'Not Found', code: 2100 } } }
  }

const updateIncident = inName(
  withIncident((_pagerduty, { body }, incident) =>
    taken(Update, body, ({ incident: { status, resolution } }) => {
      if (incident.status === 'resolved') return refusal(400, 2001, 'Incident Already Resolved')
      incident.status = status ?? incident.status
      incident.resolution = resolution ?? null
      return { status: 200, body: { incident: shown(incident) } }
    }),
  ),
)

const listIncidents: Handle = (pagerduty, { query }) => {
  const incidents = [...pagerduty.incidents.values()].filter(({ key }) => key === query.get('incident_key'))
  return { status: 200, body: { incidents: incidents.map(shown), limit: 25, offset: 0, more: false, total: null } }
}

const addNote = inName(
  withIncident((pagerduty, { body, from = '' }, incident) =>
    taken(Note, body, ({ note: { content } }) => {
      const note = { id: pagerduty.newId(), content, by: from, created_at: new Date(pagerduty.now()).toISOString() }
      incident.notes.push(note)
      return { status: 200, body: { note } }
    }),
  ),
)

const listNotes = withIncident((_pagerduty, _call, { notes }) => ({ status: 200, body: { notes } }))

function paged<T>(pagerduty: PagerDutyHouse, { query }: Call, name: string, all: readonly T[]): Answer {
  const limit = Math.min(Number(query.get('limit') ?? '25'), pagerduty.pageSize)
  const offset = Number(query.get('offset') ?? '0')
  if (limit > 100 || offset + limit > 10_000) return refusal(400, 2001, 'limit and offset are out of range')
  const page = all.slice(offset, offset + limit)
  const more = offset + limit < all.length
  return { status: 200, body: { [name]: page, limit, offset, more, total: null } }
}

const QUARTER_MS = 92 * 86_400_000
/** As PagerDuty writes times: without parts of a second. */
const seconds = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`

const reference = (id: string, type: string) => ({ id, type, self: 'http://169.254.169.254/latest', summary: id })
const iso = (at: number | null): string | null => (at === null ? null : seconds(at))

const listOnCalls: Handle = (pagerduty, call) => {
  const { query } = call
  const since = Date.parse(query.get('since') ?? '')
  const until = Date.parse(query.get('until') ?? '')
  if (Number.isNaN(since) || Number.isNaN(until)) return refusal(400, 2001, 'since and until are times')
  const asked = (name: string, id: string | null): boolean => {
    const ids = query.getAll(`${name}[]`)
    return ids.length === 0 || (id !== null && ids.includes(id))
  }
  const found = pagerduty.oncalls.filter(
    ({ user, schedule, policy, start, end }) =>
      asked('user_ids', user) &&
      asked('schedule_ids', schedule) &&
      asked('escalation_policy_ids', policy) &&
      (start ?? 0) <= until &&
      (end ?? Infinity) >= since,
  )
  const entries = found.map(({ user, schedule, policy, level, start, end }) => ({
    user: reference(user, 'user_reference'),
    schedule: schedule === null ? null : reference(schedule, 'schedule_reference'),
    escalation_policy: reference(policy, 'escalation_policy_reference'),
    escalation_level: level,
    start: iso(start),
    end: iso(end),
  }))
  return paged(pagerduty, call, 'oncalls', entries)
}

/** Finds parts of names and addresses, as PagerDuty does. */
const listUsers: Handle = (pagerduty, call) => {
  const wanted = (call.query.get('query') ?? '').toLowerCase()
  const found = pagerduty.users.filter(({ name, email }) => `${name} ${email}`.toLowerCase().includes(wanted))
  return paged(
    pagerduty,
    call,
    'users',
    found.map((user) => ({ ...user, type: 'user' })),
  )
}

/** An override has an id only where `editable` is asked for; what passes the range is cut, except with `overflow`. */
const listOverrides: Handle = (pagerduty, { query }, [schedule = '']) => {
  const since = Date.parse(query.get('since') ?? '')
  const until = Date.parse(query.get('until') ?? '')
  if (Number.isNaN(since) || Number.isNaN(until)) return refusal(400, 2001, 'since and until are required')
  if (until < since || until - since > QUARTER_MS) return refusal(400, 2001, 'the range is at most three months')
  const found = pagerduty.overrides.filter(
    (each) => each.schedule === schedule && each.start <= until && each.end > since,
  )
  const isWhole = query.get('overflow') === 'true'
  const overrides = found.map(({ user, start, end }) => ({
    user: reference(user, 'user_reference'),
    start: seconds(isWhole ? start : Math.max(start, since)),
    end: seconds(isWhole ? end : Math.min(end, until)),
  }))
  return { status: 200, body: { overrides } }
}

const listServices: Handle = (pagerduty, call) =>
  paged(pagerduty, call, 'services', [{ id: pagerduty.service, type: 'service', name: 'Access' }])

const readSubscription: Handle = (pagerduty, _call, [id = '']) => {
  const found = pagerduty.subscriptions.get(id)
  if (!found) return { status: 404, body: { error: { message: 'Not Found', code: 2100 } } }
  const method = { type: 'http_delivery_method', url: found.url, temporarily_disabled: found.temporarilyDisabled }
  return {
    status: 200,
    body: { webhook_subscription: { id, type: 'webhook_subscription', active: true, delivery_method: method } },
  }
}

const enableSubscription: Handle = (pagerduty, call, [id = '']) => {
  const found = pagerduty.subscriptions.get(id)
  if (found) Object.assign(found, { temporarilyDisabled: false, drops: 0 })
  return readSubscription(pagerduty, call, [id])
}

export const ROUTES: readonly (readonly [string, RegExp, Handle])[] = [
  ['POST', /^\/v2\/enqueue$/, enqueue],
  ['POST', /^\/incidents$/, createIncident],
  ['GET', /^\/incidents$/, listIncidents],
  [
    'GET',
    /^\/incidents\/([^/]+)$/,
    withIncident((_pagerduty, _call, incident) => ({ status: 200, body: { incident: shown(incident) } })),
  ],
  ['PUT', /^\/incidents\/([^/]+)$/, updateIncident],
  ['POST', /^\/incidents\/([^/]+)\/notes$/, addNote],
  ['GET', /^\/incidents\/([^/]+)\/notes$/, listNotes],
  ['GET', /^\/oncalls$/, listOnCalls],
  ['GET', /^\/users$/, listUsers],
  ['GET', /^\/schedules\/([^/]+)\/overrides$/, listOverrides],
  ['GET', /^\/services$/, listServices],
  ['GET', /^\/webhook_subscriptions\/([^/]+)$/, readSubscription],
  ['POST', /^\/webhook_subscriptions\/([^/]+)\/enable$/, enableSubscription],
]
