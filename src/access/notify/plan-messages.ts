import { parseDuration } from '../../contract/duration.ts'
import type { DeliverRule, Vendor } from '../../contract/vendors/common.ts'
import { matchesAny } from '../../identity/patterns.ts'

const DAY = 86_400_000

/** An integration as routing sees it. */
export interface Route {
  readonly id: string
  readonly name: string
  readonly vendor: Vendor
  readonly deliver: readonly DeliverRule[]
  readonly omitReason: boolean
  readonly createdAt: number
  /** Ids of people who can be reached there */
  readonly reaches: (userId: string) => boolean
}

/** What routing knows of a request. */
export interface RoutedRequest {
  readonly id: string
  readonly roles: readonly string[]
  readonly requesterId: string
  readonly createdAt: number
  readonly pendingUntil: number
  readonly pending: boolean
  /** Who could bring a decision nearer, by themselves or for somebody absent, and from when on */
  readonly reviewers: readonly { readonly id: string; readonly from: number }[]
}

export interface Occasion {
  readonly topic: string
  readonly createdAt: number
  /** Ids of those whom the delivery names */
  readonly to: readonly string[]
  /** Instant after which it need not be said; null: a day */
  readonly until: number | null
}

export interface Wanted {
  readonly integrationId: string
  readonly kind: 'request' | 'notice'
  readonly audience: 'channel' | 'reviewer' | 'requester' | 'person'
  readonly channel: string | null
  readonly userId: string | null
  readonly dueAt: number
  /** Sent only when nobody has answered for so long */
  readonly afterMs: number | null
  /** Of a notice: said in the thread of the request's message there, or not at all */
  readonly threaded: boolean
  readonly expiresAt: number | null
}

/** Who is told what of one delivery, and by which integration. Pure. */
export function planMessages(occasion: Occasion, request: RoutedRequest | null, routes: readonly Route[]): Wanted[] {
  // Nobody is told today what happened before there was a way to tell.
  const open = routes.filter((route) => route.createdAt <= occasion.createdAt)
  if (!request) return toPeople(occasion, open)
  const by = (wants: (rule: DeliverRule) => boolean): Matched[] => matching(open, request.roles, wants)
  const channels = by(({ channels }) => channels.length > 0).flatMap(({ route, rules }) =>
    [...new Set(rules.flatMap((rule) => rule.channels))].map((channel) => ({ route, channel })),
  )
  const requester = by((rule) => rule.requester).filter(({ route }) => route.reaches(request.requesterId))
  const messages = [
    ...channels.map(({ route, channel }) => message(route, 'channel', { channel }, occasion.createdAt)),
    ...requester.map(({ route }) => message(route, 'requester', { userId: request.requesterId }, occasion.createdAt)),
  ]
  const reviewers = by((rule) => rule.reviewers)
  const said = channels.map(({ route, channel }) => notice(occasion, route, 'channel', { channel }, true))
  const toRequester = requester.map(({ route }) =>
    notice(occasion, route, 'requester', { userId: request.requesterId }, true),
  )
  switch (occasion.topic) {
    case 'request.created':
      return [...messages, ...request.reviewers.flatMap((reviewer) => toReviewer(reviewer, request, reviewers))]
    case 'request.reviewed':
    case 'request.decided':
    case 'request.acknowledged':
    case 'grant.ended':
      return [...messages, ...said, ...toRequester]
    case 'request.annotated':
      return [...messages, ...said]
    case 'grant.ending':
      return toRequester
    case 'request.escalated':
      return [...messages, ...said, ...escalated(occasion, request, reviewers)]
    case 'request.break_glass':
      return [...messages, ...said, ...everybody(occasion, request, reviewers)]
    default:
      return messages
  }
}

interface Matched {
  readonly route: Route
  readonly rules: readonly DeliverRule[]
}

function matching(
  routes: readonly Route[],
  roles: readonly string[],
  wants: (rule: DeliverRule) => boolean,
): Matched[] {
  return routes.flatMap((route) => {
    const rules = route.deliver.filter((rule) => wants(rule) && roles.some((role) => matchesAny(rule.roles, role)))
    return rules.length === 0 ? [] : [{ route, rules }]
  })
}

const waitOf = ({ rules }: Matched): number =>
  Math.min(
    ...rules.map(({ after }) => {
      const parsed = after === undefined ? null : parseDuration(after)
      return parsed?.ok ? parsed.ms : 0
    }),
  )

/** The integrations one after the other, by their `after`; the first one that can reach the person does so at once. */
function toReviewer(
  { id, from }: { readonly id: string; readonly from: number },
  request: RoutedRequest,
  matched: readonly Matched[],
): Wanted[] {
  const inOrder = matched
    .map((each) => ({ route: each.route, wait: waitOf(each) }))
    .filter(({ route }) => route.reaches(id))
    .sort((a, b) => a.wait - b.wait || a.route.createdAt - b.route.createdAt)
  return inOrder.map(({ route, wait }, index) => {
    const later = index > 0 && wait > 0
    const dueAt = Math.max(from, request.createdAt + (later ? wait : 0))
    return { ...message(route, 'reviewer', { userId: id }, dueAt), afterMs: later ? wait : null }
  })
}

/** Whom a step of an escalation names: the first integration that reaches them, without waiting. */
function escalated(occasion: Occasion, request: RoutedRequest, matched: readonly Matched[]): Wanted[] {
  const canReview = new Set(request.reviewers.map(({ id }) => id))
  return occasion.to.flatMap((userId) => {
    const [first] = firstThatReach(userId, matched)
    if (!first) return []
    const audience = canReview.has(userId) ? 'reviewer' : 'person'
    return [
      message(first.route, audience, { userId }, occasion.createdAt),
      notice(occasion, first.route, audience, { userId }, true),
    ]
  })
}

/** Break-glass is told by every integration that reaches somebody: it must not hang on one of them. */
function everybody(occasion: Occasion, request: RoutedRequest, matched: readonly Matched[]): Wanted[] {
  return occasion.to
    .filter((userId) => userId !== request.requesterId)
    .flatMap((userId) =>
      firstThatReach(userId, matched).map(({ route }) => message(route, 'person', { userId }, occasion.createdAt)),
    )
}

const firstThatReach = (userId: string, matched: readonly Matched[]): Matched[] =>
  matched.filter(({ route }) => route.reaches(userId)).toSorted((a, b) => waitOf(a) - waitOf(b))

/** What is about no request: by whatever integration tells people things at all. */
function toPeople(occasion: Occasion, routes: readonly Route[]): Wanted[] {
  const personal = routes.filter(({ deliver }) => deliver.some((rule) => rule.reviewers || rule.requester))
  return occasion.to.flatMap((userId) =>
    personal
      .filter((route) => route.reaches(userId))
      .slice(0, 1)
      .map((route) => notice(occasion, route, 'person', { userId }, false)),
  )
}

type Where = { readonly channel: string } | { readonly userId: string }

const at = (where: Where): Pick<Wanted, 'channel' | 'userId'> =>
  'channel' in where ? { channel: where.channel, userId: null } : { channel: null, userId: where.userId }

const message = (route: Route, audience: Wanted['audience'], where: Where, dueAt: number): Wanted => {
  const about = { integrationId: route.id, kind: 'request', audience, ...at(where) } as const
  return { ...about, dueAt, afterMs: null, threaded: false, expiresAt: null }
}

function notice(
  occasion: Occasion,
  route: Route,
  audience: Wanted['audience'],
  where: Where,
  threaded: boolean,
): Wanted {
  const about = { integrationId: route.id, kind: 'notice', audience, ...at(where) } as const
  const expiresAt = occasion.until ?? occasion.createdAt + DAY
  return { ...about, dueAt: occasion.createdAt, afterMs: null, threaded, expiresAt }
}
