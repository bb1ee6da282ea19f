// A second, small implementation of what is given to whom: requests for resources with their pins, review rules and policies that vote,
// and access taken in an emergency. Written from the specification to be compared with the product after every step; nothing of src/
// is used here. `ada` asks; r1 to r4 review, and r3 and r4 are seniors.

export const REVIEWERS = ['r1', 'r2', 'r3', 'r4'] as const
const SENIORS: readonly string[] = ['r3', 'r4']
export const NODES = ['a', 'b', 'c'] as const
export type NodeName = (typeof NODES)[number]
export type RoleName = 'p' | 'q'
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
const CAP = 4 * HOUR
const EMERGENCY_CAP = HOUR

interface Content {
  readonly logins: readonly string[]
  readonly env: readonly string[]
}
/** What each role may say. */
export const CONTENTS: Readonly<Record<RoleName, readonly Content[]>> = {
  p: [
    { logins: ['deploy'], env: ['prod'] },
    { logins: ['deploy', 'root'], env: ['prod'] },
    { logins: ['deploy'], env: ['dev', 'prod'] },
  ],
  q: [
    { logins: ['admin'], env: ['dev'] },
    { logins: ['admin', 'deploy'], env: ['dev', 'prod'] },
  ],
}
/** What ada's own role lets her do: ask for roles, search by roles, take roles. */
export const REACH = [
  { roles: ['p'], search: ['p', 'q'], emergency: ['q'] },
  { roles: ['p', 'q'], search: ['p', 'q'], emergency: ['p', 'q'] },
  { roles: ['p'], search: ['p'], emergency: [] },
  { roles: [], search: ['q'], emergency: ['q'] },
] as const

/** Reasons start with a word; `fails` cannot be evaluated. */
export interface Says {
  readonly of: RoleName | 'all'
  readonly when: 'always' | 'good' | 'bad' | 'fails'
  readonly does: 'approve' | 'decide' | 'deny' | 'require' | 'limit'
}
export const RULES: readonly Says[] = [
  { of: 'all', when: 'good', does: 'approve' },
  { of: 'p', when: 'good', does: 'decide' },
  { of: 'all', when: 'good', does: 'decide' },
  { of: 'all', when: 'bad', does: 'deny' },
  { of: 'q', when: 'always', does: 'deny' },
  { of: 'all', when: 'always', does: 'require' },
  { of: 'q', when: 'always', does: 'require' },
  { of: 'all', when: 'always', does: 'limit' },
  { of: 'p', when: 'fails', does: 'deny' },
  { of: 'all', when: 'fails', does: 'approve' },
]
/** Of policies `approveOnly` says whether one that fails blocks. */
export const POLICIES: readonly (Omit<Says, 'of'> & { readonly approveOnly: boolean })[] = [
  { when: 'good', does: 'approve', approveOnly: true },
  { when: 'bad', does: 'deny', approveOnly: false },
  { when: 'always', does: 'require', approveOnly: false },
  { when: 'good', does: 'limit', approveOnly: false },
  { when: 'fails', does: 'deny', approveOnly: false },
  { when: 'fails', does: 'approve', approveOnly: true },
]
export const LIMIT = 45 * MINUTE

interface Place {
  readonly id: string
  readonly env: string
  readonly key: string
}
interface Judged {
  readonly by: string
  readonly hash: string
  readonly roles: readonly RoleName[]
  readonly decides: boolean
  readonly approveOnly: boolean
  readonly says: 'approve' | 'deny' | 'require' | 'limit' | 'nothing' | 'failed'
}
interface Vote {
  readonly by: string
  readonly automatic: boolean
  readonly approve: boolean
  readonly print: string
  readonly duration: number | null
  readonly roles: readonly RoleName[]
  current: boolean
}
export interface Ask {
  readonly kind: 'role' | 'resource' | 'emergency'
  readonly roles: readonly RoleName[]
  /** Ids with their names */
  readonly wants: readonly { readonly id: string; readonly name: NodeName }[]
  readonly login: string | null
  readonly word: string
  readonly duration: number
  readonly until: number
  readonly createdAt: number
  readonly firstPrint: string
  state: 'pending' | 'approved' | 'denied' | 'cancelled' | 'expired'
  decidedAt: number
  votes: Vote[]
  judged: readonly Judged[]
  locked: boolean
  seen: Set<string>
  grant: Given | null
}
interface Given {
  readonly contents: readonly { readonly role: RoleName; readonly content: number }[]
  readonly pins: readonly Place[] | null
  readonly endsAt: number
  over: string | null
  suspended: boolean
}

class No extends Error {}
const no = (code: string): never => {
  throw new No(code)
}
const has = (all: readonly string[], one: string): boolean => all.includes(one)

export class PowerModel {
  now: number
  reach = 0
  readonly contents: Record<RoleName, number> = { p: 0, q: 0 }
  readonly nodes: Record<NodeName, Place> = {
    a: { id: 'nod_a', env: 'prod', key: 'k' },
    b: { id: 'nod_b', env: 'dev', key: 'k' },
    c: { id: 'nod_c', env: 'prod', key: 'k' },
  }
  /** By slot: which one, and its id, which never comes back */
  readonly rules = new Map<string, { readonly rule: number; readonly id: number }>()
  #ruleIds = 0
  policy: number | null = null
  readonly lockedRoles = new Set<RoleName>()
  /** Ids */
  readonly lockedNodes = new Set<string>()
  userLocked = false
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

  edit(change: () => void): void {
    change()
    this.sweep()
  }

  setRule(slot: string, rule: number | null): void {
    const before = this.rules.get(slot)
    if (rule === null) this.rules.delete(slot)
    else this.rules.set(slot, { rule, id: before?.id ?? this.#ruleIds++ })
  }

  // What ada may ask for, and what a role gives.

  #may(role: RoleName, kind: Ask['kind']): boolean {
    const { roles, search, emergency } = REACH[this.reach] ?? REACH[0]
    return has(kind === 'role' ? roles : kind === 'resource' ? search : emergency, role)
  }

  #logins(role: RoleName, content: number, envs: readonly string[]): readonly string[] {
    const { logins, env } = CONTENTS[role][content] ?? { logins: [], env: [] }
    return envs.every((each) => has(env, each)) ? logins : []
  }

  /** Logins that the role would give now on the node as it is, within the narrowing. */
  #gives(role: RoleName, place: Place, login: string | null): readonly string[] {
    const all = this.#logins(role, this.contents[role], [place.env])
    return login === null ? all : all.filter((each) => each === login)
  }

  #placeWithId(id: string): Place | undefined {
    return Object.values(this.nodes).find((place) => place.id === id)
  }

  /** Everything that a vote binds to, apart from the request itself. */
  print(ask: Pick<Ask, 'kind' | 'roles' | 'wants' | 'login'>): string {
    const speaking = [...this.rules]
      .filter(([, { rule }]) => this.#spokenOf(RULES[rule]?.of ?? 'all', ask.roles).length > 0)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, { rule, id }]) => [id, rule])
    const roles = ask.roles.map((role) => [role, this.contents[role], this.#may(role, ask.kind)])
    const places = ask.wants.map(({ id }) => [id, this.#placeWithId(id) ?? null, this.#routed(ask, id)])
    return JSON.stringify([roles, places, speaking, this.policy])
  }

  #routed(ask: Pick<Ask, 'kind' | 'roles' | 'login'>, id: string): RoleName[] {
    const place = this.#placeWithId(id)
    return place ? ask.roles.filter((role) => this.#gives(role, place, ask.login).length > 0) : []
  }

  #spokenOf(of: RoleName | 'all', roles: readonly RoleName[]): RoleName[] {
    return roles.filter((role) => of === 'all' || of === role)
  }

  // Asking.

  askRole(role: RoleName, word: string, duration: number | null): string {
    return this.attempt(() => {
      if (this.userLocked) no('locked')
      this.#askable(role, 'role')
      this.#create({ kind: 'role', roles: [role], wants: [], login: null, word }, duration)
    })
  }

  #askable(role: RoleName, kind: Ask['kind']): void {
    if (!this.#may(role, kind)) no('role_not_requestable')
    if (this.lockedRoles.has(role)) no('locked')
  }

  askNodes(
    names: readonly NodeName[],
    login: string | null,
    named: readonly RoleName[],
    word: string,
    duration: number | null,
  ): string {
    return this.attempt(() => {
      if (this.userLocked) no('locked')
      for (const role of named) this.#askable(role, 'resource')
      const givers = names.map((name) => this.#giversOf(this.nodes[name]))
      const roles =
        named.length > 0 ? named : [...new Set(givers.flatMap((each) => this.#searched(each, login)))].sort()
      const wants = names.map((name) => ({ id: this.nodes[name].id, name })).sort((x, y) => (x.id < y.id ? -1 : 1))
      const routed = wants.map(({ id }) => this.#routed({ kind: 'resource', roles, login }, id))
      if (routed.some((giving) => giving.length === 0)) no('resource_not_requestable')
      if (roles.some((role) => !routed.some((giving) => giving.includes(role)))) no('resource_not_requestable')
      this.#create({ kind: 'resource', roles, wants, login, word }, duration)
    })
  }

  /** Roles that would give the node, fewest logins first. */
  #giversOf(place: Place): { role: RoleName; logins: readonly string[] }[] {
    const all = (['p', 'q'] as const)
      .filter((role) => this.#may(role, 'role') || this.#may(role, 'resource'))
      .map((role) => ({ role, logins: this.#gives(role, place, null) }))
      .filter(({ logins }) => logins.length > 0)
    if (all.length === 0) no('resource_unknown')
    if (this.lockedNodes.has(place.id)) no('locked')
    return all.sort((x, y) => x.logins.length - y.logins.length)
  }

  #searched(givers: readonly { role: RoleName; logins: readonly string[] }[], login: string | null): RoleName[] {
    const searchable = givers.filter(({ role }) => this.#may(role, 'resource'))
    if (searchable.length === 0) no('resource_not_requestable')
    const usable = searchable.filter(({ role }) => !this.lockedRoles.has(role))
    if (usable.length === 0) no('locked')
    if (login === null) return usable.map(({ role }) => role)
    return [(usable.find(({ logins }) => has(logins, login)) ?? no('login_not_allowed')).role]
  }

  #create(wanted: Pick<Ask, 'kind' | 'roles' | 'wants' | 'login' | 'word'>, duration: number | null): void {
    if (this.asks.some((ask) => this.#cools(ask, wanted))) no('cooling_down')
    if (duration !== null && duration > CAP) no('duration_over_cap')
    this.#refuseTooMany()
    const ask = this.#asked(wanted, duration ?? CAP)
    this.asks.push(ask)
    this.#judge(ask)
    if (this.#denied(ask)) this.#decide(ask, 'denied')
    else if (ask.votes.some((vote) => vote.approve && this.why(ask, vote) === null) && this.#approved(ask))
      this.#decide(ask, 'approved')
  }

  #refuseTooMany(): void {
    if (this.asks.filter((ask) => ask.createdAt > this.now - HOUR).length >= 20) no('ask_rate')
  }

  #asked(wanted: Pick<Ask, 'kind' | 'roles' | 'wants' | 'login' | 'word'>, duration: number): Ask {
    return {
      ...wanted,
      ...{ duration, until: this.now + DAY, createdAt: this.now, firstPrint: this.print(wanted) },
      ...{ state: 'pending', decidedAt: 0, votes: [], judged: [], locked: false, seen: new Set(), grant: null },
    }
  }

  /** Asked again within ten minutes of a denial by a person: the same or more. */
  #cools(denied: Ask, wanted: Pick<Ask, 'roles' | 'wants' | 'login'>): boolean {
    if (denied.state !== 'denied' || this.now - denied.decidedAt >= 10 * MINUTE) return false
    const denials = denied.votes.filter((vote) => vote.current && !vote.approve)
    if (denials.length > 0 && denials.every((vote) => vote.automatic)) return false
    if (!denied.roles.every((role) => wanted.roles.includes(role))) return false
    if (wanted.wants.length === 0) return true
    if (denied.wants.length === 0 || (wanted.login !== null && wanted.login !== denied.login)) return false
    return denied.wants.every(({ id }) => wanted.wants.some((want) => want.id === id))
  }

  // Rules and policies.

  #judge(ask: Ask): void {
    const says = ({ when, does }: Pick<Says, 'when' | 'does'>): Judged['says'] => {
      if (when === 'fails') return 'failed'
      if (when !== 'always' && when !== ask.word) return 'nothing'
      return does === 'decide' ? 'approve' : does
    }
    const rules = [...this.rules].sort(([one], [other]) => (one < other ? -1 : 1))
    const policy = POLICIES[this.policy ?? -1]
    const byRules = rules.flatMap(([slot, { rule }]): Judged[] => {
      const content = RULES[rule]
      const roles = content ? this.#spokenOf(content.of, ask.roles) : []
      if (!content || roles.length === 0) return []
      const { does } = content
      const kind = { decides: does === 'decide', approveOnly: does === 'approve' || does === 'decide' }
      return [{ by: `rule:${slot}`, hash: `rule ${rule}`, roles, ...kind, says: says(content) }]
    })
    const byPolicy = policy
      ? [{ by: 'policy:one', hash: `policy ${this.policy}`, roles: ask.roles, decides: false, says: says(policy) }]
      : []
    ask.judged = [...byRules, ...byPolicy.map((each) => ({ ...each, approveOnly: policy?.approveOnly === true }))]
    this.#voteByThem(ask)
  }

  #voteByThem(ask: Ask): void {
    const print = this.print(ask)
    const said = ask.judged.filter(({ says }) => says === 'approve' || says === 'deny')
    const stands = (vote: Vote, { by, says, roles }: Judged): boolean =>
      vote.by === by &&
      vote.approve === (says === 'approve') &&
      vote.print === print &&
      String(vote.roles) === String(roles)
    const fresh = said.filter((each) => !ask.votes.some((vote) => vote.current && stands(vote, each)))
    for (const vote of ask.votes) if (vote.automatic && !said.some((each) => stands(vote, each))) vote.current = false
    for (const { by, says, roles } of fresh)
      ask.votes.push({ by, automatic: true, approve: says === 'approve', print, duration: null, roles, current: true })
  }

  /** A judgement under rules that stand no more is made again at the next vote; it blocks nothing. */
  #blocked(ask: Ask): boolean {
    const standing = [...this.rules.values()]
      .filter(({ rule }) => this.#spokenOf(RULES[rule]?.of ?? 'all', ask.roles).length > 0)
      .map(({ rule }) => `rule ${rule}`)
    if (this.policy !== null) standing.push(`policy ${this.policy}`)
    const seen = ask.judged.map(({ hash }) => hash)
    if (String(standing.sort()) !== String(seen.sort())) return false
    return ask.judged.some(({ says, approveOnly }) => says === 'failed' && !approveOnly)
  }

  // Counting.

  why(ask: Ask, vote: Vote): string | null {
    if (!vote.current) return 'replaced'
    if (vote.approve && vote.print !== this.print(ask)) return 'rules_changed'
    if (vote.automatic && !vote.approve) return null
    const spoken = ask.roles.filter((role) => vote.roles.includes(role))
    const decides =
      vote.approve && ask.judged.some(({ by, decides: each, says }) => by === vote.by && each && says === 'approve')
    const counted =
      (decides && spoken.length > 0) ||
      spoken.some((role) => this.#sets(ask, role).some(({ senior }) => !senior || has(SENIORS, vote.by)))
    return counted ? null : 'no_threshold_counts_it'
  }

  /** Two approve or deny, where it may be asked for; and one senior for each that requires it. */
  #sets(ask: Ask, role: RoleName): { senior: boolean; needed: number }[] {
    const required = ask.judged.filter(({ says, roles }) => says === 'require' && roles.includes(role))
    const own = this.#may(role, ask.kind) ? [{ senior: false, needed: 2 }] : []
    return [...own, ...required.map(() => ({ senior: true, needed: 1 }))]
  }

  #counting(ask: Ask, role: RoleName): Vote[] {
    return ask.votes.filter((vote) => {
      const why = vote.current ? this.why(ask, vote) : 'replaced'
      return (why === null || why === 'no_threshold_counts_it') && vote.roles.includes(role)
    })
  }

  /** [approvals, denials] of every threshold, in order. */
  counts(ask: Ask): [number, number][] {
    return ask.roles.flatMap((role) =>
      this.#sets(ask, role).map(({ senior }): [number, number] => {
        const mine = this.#counting(ask, role).filter((vote) => !senior || has(SENIORS, vote.by))
        return [mine.filter((vote) => vote.approve).length, mine.filter((vote) => !vote.approve).length]
      }),
    )
  }

  #denied(ask: Ask): boolean {
    const outright = ask.votes.some((vote) => vote.automatic && vote.current && !vote.approve)
    const needed = ask.roles.flatMap((role) => this.#sets(ask, role).map((set) => set.needed))
    return outright || this.counts(ask).some(([, denials], index) => denials >= (needed[index] ?? 0))
  }

  #approved(ask: Ask): boolean {
    if (this.isHindered(ask)) return false
    const counts = this.counts(ask)
    let place = 0
    return ask.roles.every((role) => {
      const met = this.#sets(ask, role).map(({ senior, needed }) => ({
        senior,
        met: (counts[place++]?.[0] ?? 0) >= needed,
      }))
      const decided = this.#counting(ask, role).some(
        (vote) => vote.automatic && vote.approve && ask.judged.some(({ by, decides }) => by === vote.by && decides),
      )
      return this.#may(role, ask.kind) && met.every((set) => set.met || (!set.senior && decided))
    })
  }

  /** Whatever the votes say */
  isHindered(ask: Ask): boolean {
    if (this.userLocked || this.#blocked(ask)) return true
    if (ask.roles.some((role) => this.lockedRoles.has(role) || !this.#may(role, ask.kind))) return true
    return ask.wants.some(({ id }) => this.lockedNodes.has(id) || this.#routed(ask, id).length === 0)
  }

  granted(ask: Ask, without = ''): number {
    const caps = ask.roles.map((role) => (this.#may(role, ask.kind) ? CAP : 0))
    const limits = ask.judged.some(({ says }) => says === 'limit') ? [LIMIT] : []
    const votes = ask.votes
      .filter((vote) => vote.by !== without && vote.approve && vote.duration !== null && this.why(ask, vote) === null)
      .map(({ duration }) => duration ?? 0)
    return Math.min(ask.duration, ...caps, ...limits, ...votes)
  }

  // Deciding.

  vote(name: string, ask: Ask, approve: boolean, stale: boolean): string {
    let late = false
    const verdict = this.attempt(() => {
      if (name === 'ada') no('own_request')
      if (ask.state === 'expired') no('request_expired')
      if (ask.state !== 'pending') no('already_resolved')
      if (this.now >= ask.until) {
        this.#decide(ask, 'expired')
        late = true
        return
      }
      const print = stale ? ask.firstPrint : this.print(ask)
      if (print !== this.print(ask)) no('request_changed')
      const left = this.granted(ask, name)
      const before = ask.votes.find((vote) => vote.by === name && vote.current)
      this.#judge(ask)
      if (before) before.current = false
      const duration = approve && left < ask.duration ? left : null
      const vote = { by: name, automatic: false, approve, print, duration, roles: ask.roles, current: true }
      ask.votes.push(vote)
      if (this.#denied(ask)) this.#decide(ask, 'denied')
      else if (approve && this.why(ask, vote) === null && this.#approved(ask)) this.#decide(ask, 'approved')
    })
    return verdict === 'ok' && late ? 'request_expired' : verdict
  }

  #decide(ask: Ask, state: Ask['state']): void {
    const length = state === 'approved' ? this.granted(ask) : 0
    ask.state = state
    ask.decidedAt = this.now
    if (state === 'approved') this.#give(ask, length)
  }

  #give(ask: Ask, length: number): void {
    const contents = ask.roles.map((role) => ({ role, content: this.contents[role] }))
    const pins = ask.kind === 'resource' ? ask.wants.flatMap(({ id }) => this.#placeWithId(id) ?? []) : null
    ask.grant = { contents, pins, endsAt: this.now + length, over: null, suspended: false }
  }

  // Emergencies.

  take(role: RoleName, duration: number | null): string {
    return this.attempt(() => {
      if (this.userLocked) no('locked')
      this.#askable(role, 'emergency')
      if (duration !== null && duration > EMERGENCY_CAP) no('duration_over_cap')
      const taken = this.asks.filter((ask) => ask.kind === 'emergency')
      if (taken.some(({ grant }) => grant && !grant.over && grant.endsAt > this.now)) no('break_glass_blocked')
      if (taken.some(({ seen }) => seen.size < 2)) no('break_glass_blocked')
      const ask = this.#asked(
        { kind: 'emergency', roles: [role], wants: [], login: null, word: '' },
        duration ?? EMERGENCY_CAP,
      )
      this.asks.push(ask)
      ask.state = 'approved'
      this.#give(ask, ask.duration)
    })
  }

  look(name: string, ask: Ask): string {
    return this.attempt(() => {
      if (ask.kind !== 'emergency') no('malformed')
      if (name === 'ada') no('own_request')
      ask.seen.add(name)
    })
  }

  // Ends.

  takeBack(how: 'returned' | 'revoked', name: string, ask: Ask): string {
    return this.attempt(() => {
      if (how === 'returned' ? name !== 'ada' : name === 'ada') no('not_allowed')
      const { grant } = ask
      if (!grant) return no('not_found')
      if (grant.over) no('grant_ended')
      grant.over = how
    })
  }

  sweep(): void {
    for (const ask of this.asks) if (ask.state === 'pending') this.#sweepPending(ask)
    for (const ask of this.asks) if (ask.grant && !ask.grant.over) this.#sweepGrant(ask, ask.grant)
  }

  #sweepPending(ask: Ask): void {
    if (this.now >= ask.until) this.#decide(ask, 'expired')
    else if (ask.locked || ask.wants.some(({ id }) => !this.#placeWithId(id))) this.#decide(ask, 'cancelled')
  }

  #sweepGrant(ask: Ask, grant: Given): void {
    const { pins } = grant
    if (this.now >= grant.endsAt) grant.over = 'expired'
    else if (ask.locked) grant.over = 'locked'
    else if (pins?.every(({ id }) => !this.#placeWithId(id))) grant.over = 'resource_deleted'
    else grant.suspended = this.#isSuspended(ask, grant)
  }

  /** Wholly or in part. */
  #isSuspended(ask: Ask, grant: Given): boolean {
    if (this.userLocked || ask.roles.some((role) => !this.#works(ask, role))) return true
    return (grant.pins ?? []).some((pin) => {
      const place = this.#placeWithId(pin.id)
      return !place || this.lockedNodes.has(pin.id) || this.#opened(ask, grant, place).length === 0
    })
  }

  #works(ask: Ask, role: RoleName): boolean {
    return !this.lockedRoles.has(role) && this.#may(role, ask.kind)
  }

  /** Logins that the grant opens on a node: each role as it was and as it is, the node as it was and as it is. */
  #opened(ask: Ask, grant: Given, place: Place): string[] {
    const pin = grant.pins?.find(({ id }) => id === place.id)
    if (grant.pins && pin?.key !== place.key) return []
    const envs = pin ? [place.env, pin.env] : [place.env]
    return grant.contents
      .filter(({ role }) => this.#works(ask, role))
      .flatMap(({ role, content }) => {
        const still = this.#logins(role, this.contents[role], envs)
        return this.#logins(role, content, envs).filter((login) => has(still, login))
      })
      .filter((login) => ask.login === null || login === ask.login)
  }

  /** What ada could sign in as on each node, by her grants; locks on her and on nodes are looked at elsewhere. */
  open(): string[][] {
    return NODES.map((name) => {
      const giving = this.asks.flatMap((ask) =>
        ask.grant && !ask.grant.over && this.now < ask.grant.endsAt && !ask.locked
          ? this.#opened(ask, ask.grant, this.nodes[name])
          : [],
      )
      return [...new Set(giving)].sort()
    })
  }
}
