// A second, small implementation of who decides: groups that must each agree, review windows, delegates and service accounts.
// Written from the specification to be compared with the product after every step; nothing of src/ is used here. `ada` asks,
// for p, q or both.

export const HUMANS = ['ada', 'r1', 'r2', 'r3', 'r4'] as const
/** Service accounts, and who answers for each */
export const ACCOUNTS = { 'bot-1a': 'r1', 'bot-1b': 'r1', 'bot-4': 'r4', 'bot-ada': 'ada' } as const
export const VOTERS: readonly string[] = [...HUMANS, ...Object.keys(ACCOUNTS)]
const ownerOf = (name: string): string | undefined => (ACCOUNTS as Readonly<Record<string, string>>)[name]
/** Of an account its owner */
const humanOf = (name: string): string => ownerOf(name) ?? name
export const REQUESTED = ['p', 'q'] as const
export type Requested = (typeof REQUESTED)[number]

export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** What lets people review: on which days (0 = Sunday) and in which hours, by UTC. */
export const RIGHTS = {
  all: { roles: ['p', 'q'], days: [0, 1, 2, 3, 4, 5, 6], from: 0, to: 24 },
  office: { roles: ['p', 'q'], days: [1, 2, 3, 4, 5], from: 9, to: 17 },
  'night-p': { roles: ['p'], days: [1, 3, 5], from: 22, to: 6 },
  'only-q': { roles: ['q'], days: [0, 1, 2, 3, 4, 5, 6], from: 0, to: 24 },
} as const
export type Right = keyof typeof RIGHTS

/** `x`: only for those whose trait says x */
export interface GroupRule {
  readonly x?: boolean
  readonly approve: number
  readonly deny: number
  readonly distinct?: boolean
}
/** The two groups: what ask1 brings along for p and q, and ask2 for p alone. */
export const GROUPS: readonly { readonly ask1: readonly GroupRule[]; readonly ask2: readonly GroupRule[] }[] = [
  { ask1: [{ approve: 2, deny: 2 }], ask2: [{ x: true, approve: 1, deny: 1 }] },
  {
    ask1: [
      { x: true, approve: 1, deny: 0, distinct: true },
      { approve: 2, deny: 3 },
    ],
    ask2: [{ approve: 3, deny: 2 }],
  },
  { ask1: [{ approve: 1, deny: 1 }], ask2: [{ approve: 2, deny: 0 }] },
]

export interface Human {
  rights: readonly Right[]
  x: boolean
  disabled: boolean
  deleted: boolean
  locked: boolean
  votesFrom: number
}
interface Stand {
  absent: string
  delegate: string
  roles: readonly Requested[] | null
  from: number
  until: number
  gone: boolean
}
interface Cast {
  who: string
  as: string
  approve: boolean
  at: number
  current: boolean
  /** Requested roles that it spoke for when it was cast */
  roles: readonly Requested[]
}
interface Ask {
  roles: readonly Requested[]
  until: number
  state: 'pending' | 'approved' | 'denied' | 'expired'
  votes: Cast[]
}

class No extends Error {}
const no = (code: string): never => {
  throw new No(code)
}

export class SeatModel {
  now: number
  groups = 0
  readonly humans = new Map<string, Human>()
  readonly stands: Stand[] = []
  readonly asks: Ask[] = []

  constructor(now: number) {
    this.now = now
  }

  attempt(deed: () => void): string {
    try {
      deed()
      return 'ok'
    } catch (error) {
      if (error instanceof No) return error.message
      throw error
    }
  }

  #human(name: string): Human | null {
    const human = this.humans.get(name)
    return human && !human.deleted ? human : null
  }
  /** What ails somebody, or whoever answers for them */
  #ailing(name: string): 'gone' | 'disabled' | 'locked' | null {
    const human = this.#human(name)
    const owner = ownerOf(name)
    const answers = owner === undefined ? human : this.#human(owner)
    if (!human) return 'gone'
    if (human.disabled || !answers || answers.disabled) return 'disabled'
    return human.locked || answers.locked ? 'locked' : null
  }
  #good(name: string): boolean {
    return this.#ailing(name) === null
  }

  /** After every edit of people: what is over is over for good. */
  sweep(): void {
    for (const stand of this.stands) if (!this.#good(stand.absent) || !this.#good(stand.delegate)) stand.gone = true
    for (const ask of this.asks) if (ask.state === 'pending' && this.now >= ask.until) ask.state = 'expired'
  }

  edit(name: string, change: Partial<Human>): void {
    const human = this.humans.get(name)
    if (human) Object.assign(human, change)
    this.sweep()
  }

  // Rights.

  #open(right: Right, at: number): boolean {
    const { days, from, to } = RIGHTS[right]
    const date = new Date(at)
    const hour = date.getUTCHours()
    const today = date.getUTCDay()
    const on = (day: number): boolean => days.some((each) => each === (day + 7) % 7)
    if (from < to) return on(today) && hour >= from && hour < to
    return (on(today) && hour >= from) || (on(today - 1) && hour < to)
  }

  /** Roles that a person may review at an instant, some time before the end of the request, or ever. */
  #own(name: string, ask: Ask, when: number | 'waiting' | 'ever'): Requested[] {
    const human = this.#human(name)
    if (!human || humanOf(name) === 'ada') return []
    return ask.roles.filter((role) =>
      human.rights.some(
        (right) => (RIGHTS[right].roles as readonly string[]).includes(role) && this.#has(right, ask, when),
      ),
    )
  }

  #has(right: Right, ask: Ask, when: number | 'waiting' | 'ever'): boolean {
    if (when === 'ever') return true
    if (when !== 'waiting') return this.#open(right, when)
    for (let at = this.now; at < Math.max(ask.until, this.now + 1); at += HOUR - (at % HOUR))
      if (this.#open(right, at)) return true
    return false
  }

  /** What the delegate may vote on for the absent one by what was arranged, at an instant or ever. */
  #stoodIn(delegate: string, absent: string, ask: Ask, coveredAt: number, when: number | 'ever'): Requested[] {
    if (delegate === 'ada' || absent === 'ada' || !this.#human(delegate) || !this.#human(absent)) return []
    const held = this.stands.filter(
      (each) =>
        each.delegate === delegate &&
        each.absent === absent &&
        !each.gone &&
        coveredAt >= each.from &&
        coveredAt < each.until &&
        each.from >= (this.humans.get(absent)?.votesFrom ?? 0),
    )
    return this.#own(absent, ask, when).filter((role) =>
      held.some(({ roles }) => roles === null || roles.includes(role)),
    )
  }

  #seats(name: string, ask: Ask, when: number | 'ever'): { as: string; roles: Requested[] }[] {
    const absent = HUMANS.filter((other) => other !== name && this.#good(other))
    return [
      { as: name, roles: this.#own(name, ask, when) },
      ...absent.map((as) => ({ as, roles: this.#stoodIn(name, as, ask, this.now, when) })),
    ].filter(({ roles }) => roles.length > 0)
  }

  // Deeds.

  ask(roles: readonly Requested[], pendingFor: number): void {
    this.asks.push({ roles, until: this.now + pendingFor, state: 'pending', votes: [] })
  }

  delegate(absent: string, delegate: string, roles: readonly Requested[] | null, length: number): string {
    return this.attempt(() => {
      const [from, to] = [this.#human(absent), this.#human(delegate)]
      if (!from) no('not_allowed')
      if (from?.disabled) no('user_disabled')
      if (from?.locked) no('locked')
      if (!to) no('not_found')
      if (absent === delegate || ownerOf(delegate) !== undefined) no('malformed')
      if (to?.disabled) no('user_disabled')
      if (to?.locked) no('locked')
      const reaches = new Set(from?.rights.flatMap((right) => [...RIGHTS[right].roles]))
      if (roles === null ? reaches.size === 0 : roles.some((role) => !reaches.has(role))) no('not_a_reviewer')
      const same = (each: Stand): boolean =>
        each.absent === absent && each.delegate === delegate && String(each.roles) === String(roles)
      if (this.stands.some((each) => same(each) && !each.gone && each.until > this.now)) no('exists')
      this.stands.push({ absent, delegate, roles, from: this.now, until: this.now + length, gone: false })
    })
  }

  undelegate(index: number): string {
    return this.attempt(() => {
      const stand = this.stands[index]
      if (!stand || stand.gone || stand.until <= this.now - 7 * DAY || !this.#human(stand.absent)) no('not_found')
      if (stand) stand.gone = true
    })
  }

  vote(name: string, ask: Ask, approve: boolean, as: string | null): string {
    let late = false
    const verdict = this.attempt(() => {
      if (name === 'ada') no('own_request')
      const ailing = this.#ailing(name)
      if (ailing === 'gone') no('not_a_reviewer')
      if (humanOf(name) === 'ada') no('own_request')
      const seat = this.#seatFor(name, ask, as)
      if (ailing === 'disabled') no('user_disabled')
      if (ailing === 'locked') no('locked')
      const before = ask.votes.find((vote) => vote.who === name && vote.current)
      const again = before && before.as === seat && before.approve === approve
      if (ask.state === 'expired') no('request_expired')
      if (ask.state !== 'pending') {
        if (again) return
        no('already_resolved')
      }
      if (this.now >= ask.until) {
        late = true
        ask.state = 'expired'
        return
      }
      const roles = this.#seats(name, ask, this.now).find((each) => each.as === seat)?.roles ?? []
      if (roles.length === 0) no('outside_window')
      if (again && String(before.roles) === String(roles) && this.#verdict(ask, before) === 'pending') return
      if (before) before.current = false
      const cast = { who: name, as: seat, approve, at: this.now, current: true, roles }
      ask.votes.push(cast)
      ask.state = this.#verdict(ask, cast)
    })
    return verdict === 'ok' && late ? 'request_expired' : verdict
  }

  #seatFor(name: string, ask: Ask, as: string | null): string {
    const [open, ever] = [this.#seats(name, ask, this.now), this.#seats(name, ask, 'ever')]
    if (as !== null) return ever.find((seat) => seat.as === as && as !== name)?.as ?? no('not_a_reviewer')
    const possible = open.length > 0 ? open : ever
    const [first] = possible
    if (!first) return no('not_a_reviewer')
    return first.as === name || possible.length === 1 ? first.as : no('absent_one_unclear')
  }

  // Counting.

  #rolesOf(ask: Ask, vote: Cast): Requested[] {
    return vote.who === vote.as
      ? this.#own(vote.who, ask, vote.at)
      : this.#stoodIn(vote.who, vote.as, ask, vote.at, vote.at)
  }

  #ails(ask: Ask, vote: Cast): string | null {
    const standing = (name: string, word: string): string | null => {
      const ailing = this.#ailing(name)
      return ailing && `${word}_${ailing}`
    }
    const trouble = standing(vote.who, 'reviewer') ?? (vote.as === vote.who ? null : standing(vote.as, 'absent_one'))
    if (trouble) return trouble
    const from = Math.max(this.humans.get(vote.who)?.votesFrom ?? 0, this.humans.get(vote.as)?.votesFrom ?? 0)
    if (vote.at < from) return 'reviewer_reset'
    if (this.#rolesOf(ask, vote).length > 0) return null
    return vote.as === vote.who ? 'right_lost' : 'delegation_over'
  }

  /** An account is silent beside whatever its owner says, for themselves or for somebody absent. */
  #heard(ask: Ask, vote: Cast): string | null {
    const owner = ownerOf(vote.who)
    const spoke = ask.votes.some((other) => other.current && other.who === owner && this.#ails(ask, other) === null)
    return this.#ails(ask, vote) ?? (spoke ? 'owner_voted' : null)
  }

  /** Whose vote is that of this person: their own, else a denial by a delegate or an account, else what came first. */
  #holder(ask: Ask, seat: string): Cast | undefined {
    const theirs = ask.votes.filter(
      (vote) => vote.current && humanOf(vote.as) === seat && this.#heard(ask, vote) === null,
    )
    return theirs.find((vote) => vote.who === seat) ?? theirs.find((vote) => !vote.approve) ?? theirs[0]
  }

  #seated(ask: Ask, vote: Cast): string | null {
    const ails = this.#heard(ask, vote)
    if (ails) return ails
    const holder = this.#holder(ask, humanOf(vote.as))
    if (!holder || holder === vote) return null
    if (holder.as !== holder.who) return 'another_delegate_voted'
    return vote.as === vote.who ? 'another_account_voted' : 'absent_one_voted'
  }

  #sets(ask: Ask): { role: Requested; rules: readonly GroupRule[] }[] {
    const groups = GROUPS[this.groups] ?? { ask1: [], ask2: [] }
    return ask.roles.flatMap((role) => [
      { role, rules: groups.ask1 },
      ...(role === 'p' ? [{ role, rules: groups.ask2 }] : []),
    ])
  }

  #fits(rules: readonly GroupRule[], rule: GroupRule, approve: boolean, as: string): boolean {
    const passes = (one: GroupRule): boolean =>
      (approve ? one.approve : one.deny) > 0 && (!one.x || this.humans.get(as)?.x === true)
    if (!passes(rule)) return false
    const taken = approve ? rules.find((one) => one.distinct && passes(one)) : undefined
    return !taken || taken === rule
  }

  why(ask: Ask, vote: Cast): string | null {
    if (!vote.current) return 'replaced'
    const trouble = this.#seated(ask, vote)
    if (trouble) return trouble
    const roles = this.#rolesOf(ask, vote)
    const counted = this.#sets(ask).some(
      ({ role, rules }) => roles.includes(role) && rules.some((rule) => this.#fits(rules, rule, vote.approve, vote.as)),
    )
    return counted ? null : 'no_threshold_counts_it'
  }

  /** [approvals, denials] of every threshold, in order. */
  counts(ask: Ask): [number, number][] {
    const counting = ask.votes.filter((vote) => vote.current && this.#seated(ask, vote) === null)
    return this.#sets(ask).flatMap(({ role, rules }) =>
      rules.map((rule): [number, number] => {
        const mine = counting.filter(
          (vote) => this.#rolesOf(ask, vote).includes(role) && this.#fits(rules, rule, vote.approve, vote.as),
        )
        return [mine.filter((vote) => vote.approve).length, mine.filter((vote) => !vote.approve).length]
      }),
    )
  }

  #verdict(ask: Ask, last: Cast): Ask['state'] {
    const counts = this.counts(ask)
    const sets = this.#sets(ask)
    const all = sets.flatMap(({ rules }) => rules)
    if (all.some((rule, index) => rule.deny > 0 && (counts[index]?.[1] ?? 0) >= rule.deny)) return 'denied'
    if (!last.approve || this.why(ask, last) !== null) return 'pending'
    let place = 0
    const met = sets.map(({ rules }) => {
      const approvals = rules.map(() => counts[place++]?.[0] ?? 0)
      return rules.some((rule, index) => rule.approve > 0 && (approvals[index] ?? 0) >= rule.approve)
    })
    return met.every(Boolean) ? 'approved' : 'pending'
  }

  // What is shown.

  shownState(ask: Ask): Ask['state'] {
    return ask.state === 'pending' && this.now >= ask.until ? 'expired' : ask.state
  }

  /** Who may still vote, who of them not yet, who for whom, and whether all of them together could approve. */
  answerers(ask: Ask): { reviewers: string[]; notNow: string[]; delegates: string[]; stuck: boolean } {
    if (this.shownState(ask) !== 'pending') return { reviewers: [], notNow: [], delegates: [], stuck: false }
    const able = VOTERS.filter((name) => this.#good(name) && this.#own(name, ask, 'waiting').length > 0)
    const counted = ask.votes.filter((vote) => this.why(ask, vote) === null)
    const voted = new Set(counted.flatMap((vote) => [vote.who, vote.as]))
    const left = able.filter((name) => !voted.has(name) && !voted.has(humanOf(name))).sort()
    const delegates = left.flatMap((absent) =>
      HUMANS.filter(
        (name) => this.#good(name) && !voted.has(name) && this.#stoodIn(name, absent, ask, this.now, 'ever').length > 0,
      ).map((name) => `${name} for ${absent}`),
    )
    return {
      reviewers: left,
      notNow: left.filter((name) => this.#own(name, ask, this.now).length === 0),
      delegates: [...new Set(delegates)].sort(),
      stuck: !castings(able).some((some) => this.#suffice(ask, some)),
    }
  }

  #suffice(ask: Ask, able: readonly string[]): boolean {
    return this.#sets(ask).every(({ role, rules }) =>
      rules.some(
        (rule) =>
          rule.approve > 0 &&
          able.filter((name) => this.#own(name, ask, 'waiting').includes(role) && this.#fits(rules, rule, true, name))
            .length >= rule.approve,
      ),
    )
  }
}

/** Who could vote with one another: of a person and their accounts one. */
function castings(able: readonly string[]): string[][] {
  const [first, ...rest] = able
  if (first === undefined) return [[]]
  const without = castings(rest)
  return [
    ...without,
    ...castings(rest.filter((name) => humanOf(name) !== humanOf(first))).map((some) => [first, ...some]),
  ]
}
