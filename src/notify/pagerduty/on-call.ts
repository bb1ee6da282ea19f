import { z } from 'zod'
import type { OnCallFact } from '../../contract/policy.ts'
import type { OnCallDuty } from '../../contract/vendors/pagerduty.ts'
import type { Clock } from '../../foundation/clock.ts'
import { within } from '../within.ts'
import type { PagerDutyApi } from './pagerduty-api.ts'
import { bestOf, shiftsNow, standingOfShift, type OnCallEntry, type Override } from './shift.ts'

/** With clocks further apart nothing is known of a shift. */
const MOST_SKEW_MS = 30_000
const LONGEST_WAIT_MS = 6000

const Ref = z.object({ id: z.string() })
const TimeText = z.string().transform((text, context) => {
  const at = Date.parse(text)
  if (Number.isNaN(at)) context.addIssue({ code: 'custom', message: 'no time' })
  return at
})
const more = z.boolean().default(false)

const OnCalls = z
  .object({
    oncalls: z.array(
      z.object({
        user: Ref,
        schedule: Ref.nullish(),
        escalation_policy: Ref,
        escalation_level: z.int(),
        start: TimeText.nullish(),
        end: TimeText.nullish(),
      }),
    ),
    more: z.boolean(),
  })
  .transform(({ oncalls, more: isMore }) => ({
    more: isMore,
    items: oncalls.map((each): OnCallEntry => ({
      userId: each.user.id,
      scheduleId: each.schedule?.id ?? null,
      policyId: each.escalation_policy.id,
      level: each.escalation_level,
      start: each.start ?? null,
      end: each.end ?? null,
    })),
  }))

const Overrides = z.object({ overrides: z.array(z.object({ user: Ref, start: TimeText, end: TimeText })) })

const Users = z
  .object({ users: z.array(z.object({ id: z.string(), email: z.string() })), more })
  .transform((page) => ({ items: page.users, more: page.more }))

/** Whom PagerDuty is asked about: a linked account, or a mail address that is compared exactly. */
export type Sought = { readonly account: string } | { readonly email: string }

/**
 * What PagerDuty says of somebody's duties now. Never throws: what cannot be known has a problem. Nothing is remembered: a
 * shift may have been given away a second ago.
 */
export async function readOnCall(
  api: PagerDutyApi,
  sought: Sought,
  duties: Readonly<Record<string, OnCallDuty>>,
  clock: Clock,
): Promise<Record<string, OnCallFact>> {
  const now = clock.now()
  const all = async (signal: AbortSignal): Promise<(readonly [string, OnCallFact])[]> => {
    const account = 'account' in sought ? sought.account : await accountOf(api, sought.email, signal)
    if (account === null) return Object.keys(duties).map((name) => [name, NO_ACCOUNT])
    return Promise.all(
      Object.entries(duties).map(
        async ([name, duty]) => [name, await dutyOf(api, account, duty, now, signal)] as const,
      ),
    )
  }
  try {
    return Object.fromEntries(await within(clock, LONGEST_WAIT_MS, 'PagerDuty did not answer in time', all))
  } catch (error) {
    const problem = problemOf(error)
    return Object.fromEntries(Object.keys(duties).map((name) => [name, { problem }]))
  }
}

const NO_ACCOUNT: OnCallFact = { on: false, why: 'no PagerDuty user has exactly the mail address of the requester' }

const problemOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 300)

/** The search of PagerDuty finds parts of names and addresses: what counts is one user with exactly this address. */
async function accountOf(api: PagerDutyApi, email: string, signal: AbortSignal): Promise<string | null> {
  const wanted = email.toLowerCase()
  const { value } = await api.list('/users', Users, [['query', email]], signal)
  const found = value.filter((user) => user.email.toLowerCase() === wanted)
  return found.length === 1 ? (found[0]?.id ?? null) : null
}

async function dutyOf(
  api: PagerDutyApi,
  account: string,
  duty: OnCallDuty,
  now: number,
  signal: AbortSignal,
): Promise<OnCallFact> {
  const at = new Date(now).toISOString()
  const of =
    'schedule' in duty ? ['schedule_ids[]', duty.schedule] : ['escalation_policy_ids[]', duty.escalation_policy]
  const [name = '', id = ''] = of
  const query = [
    [name, id],
    ['user_ids[]', account],
    ['since', at],
    ['until', at],
  ] as const
  const { value, date } = await api.list('/oncalls', OnCalls, query, signal)
  if (date === null || Math.abs(date - now) > MOST_SKEW_MS)
    return { problem: 'the clocks of PagerDuty and of this daemon differ' }
  const facts: OnCallFact[] = []
  for (const shift of shiftsNow(value, account, duty, now)) {
    const overrides = await overridesOf(api, shift.scheduleId, now, shift.end, signal)
    facts.push(standingOfShift(shift, overrides, account, now))
  }
  return bestOf(facts)
}

async function overridesOf(
  api: PagerDutyApi,
  schedule: string,
  since: number,
  until: number,
  signal: AbortSignal,
): Promise<Override[]> {
  const query = [
    ['since', new Date(since).toISOString()],
    // At most two weeks are ever granted, and PagerDuty lists no endless range.
    ['until', new Date(Math.min(until, since + FORTNIGHT_MS)).toISOString()],
    // Without it an override that has begun is said to begin with the range.
    ['overflow', 'true'],
  ] as const
  const { value } = await api.get(`/schedules/${encodeURIComponent(schedule)}/overrides`, Overrides, query, signal)
  return value.overrides.map(({ user, start, end }) => ({ userId: user.id, start, end }))
}

const FORTNIGHT_MS = 14 * 86_400_000
