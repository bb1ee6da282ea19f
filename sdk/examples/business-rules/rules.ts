import { readFileSync } from 'node:fs'
import type { AccessRequest } from '@sallyport/sdk'

/** One line of business: who may have what without a person looking, and for how long. */
export interface Rule {
  readonly name: string
  /** Every requested role must be one of these */
  readonly roles: readonly string[]
  /** Minutes; what asks for more waits for a person */
  readonly longest: number
  /** The reason must begin with the number of an open ticket */
  readonly ticket: boolean
}

export interface Business {
  readonly rules: readonly Rule[]
  readonly openTickets: readonly string[]
}

export type Verdict =
  | { readonly approve: true; readonly why: string }
  | { readonly approve: false; readonly why: string }

/** Pure: the same request and the same business always get the same verdict. It approves or leaves it to people, and never denies. */
export function judge(request: AccessRequest, { rules, openTickets }: Business): Verdict {
  // What was asked for besides roles is not covered by any rule here, so no rule speaks for it.
  if (request.kind !== 'role' || request.start.at !== 'approval')
    return { approve: false, why: 'no rule is about this kind of request' }
  const ticket = /^([A-Z]+-\d+)\b/.exec(request.reason)?.[1]
  const misses = rules.map((rule) => {
    if (!request.roles.every((role) => rule.roles.includes(role))) return `${rule.name}: other roles`
    if (request.duration > rule.longest * 60_000) return `${rule.name}: longer than ${rule.longest} minutes`
    if (rule.ticket && (ticket === undefined || !openTickets.includes(ticket)))
      return `${rule.name}: no open ticket in the reason`
    return null
  })
  const met = rules[misses.indexOf(null)]
  if (met) return { approve: true, why: `${met.name}${ticket === undefined ? '' : ` (${ticket})`}` }
  return { approve: false, why: misses.join('; ') || 'there are no rules' }
}

/** Read anew for each request: a ticket that was closed a second ago opens nothing. Throws when it cannot be read. */
export function readBusiness(path: string): Business {
  const { rules, openTickets } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Business>
  if (!Array.isArray(rules) || !rules.every(isRule))
    throw new Error(`${path}: rules are name, roles, longest and ticket`)
  if (!isTexts(openTickets)) throw new Error(`${path} has no openTickets`)
  return { rules, openTickets }
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

/** Whole, or none: a bound that was forgotten is not "no bound". */
function isRule(value: unknown): value is Rule {
  if (typeof value !== 'object' || value === null) return false
  const { name, roles, longest, ticket } = value as Partial<Record<keyof Rule, unknown>>
  return (
    typeof name === 'string' &&
    isTexts(roles) &&
    Number(longest) > 0 &&
    typeof longest === 'number' &&
    typeof ticket === 'boolean'
  )
}
