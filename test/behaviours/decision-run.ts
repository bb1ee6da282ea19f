import fc from 'fast-check'
import type { AccessRequest } from '../../src/contract/request.ts'
import type { RoleSpec } from '../../src/contract/role.ts'
import type { GrantsTable } from '../../src/foundation/database/tables.ts'
import { nodeAccess, type WorkingRole } from '../../src/identity/node-access.ts'
import { absentResource } from '../../src/resources/resource.ts'
import { callerNamed, type AccessWorld } from '../support/access-world.ts'
import { ReusedStore } from '../support/reused-store.ts'
import {
  ASKED,
  CAPS,
  DAY,
  HOUR,
  MINUTE,
  Model,
  PEOPLE,
  REACH,
  RULES,
  LOGINS,
  type AskedRole,
  type AskSetting,
  clockEnd,
  type ModelGrant,
  type ModelRequest,
  type ModelStart,
} from './decision-model.ts'

// Plays the same history on the product and on the model and compares them after every step.

const RIGHTS = [
  [],
  ['rev-all'],
  ['rev-p'],
  ['rev-q'],
  ['rev-p', 'rev-q'],
  ['rev-short'],
  ['rev-all', 'no-p'],
  ['ask1', 'rev-all'],
  ['ask1'],
  ['ask1', 'ask2'],
  ['ask2', 'rev-p'],
] as const

const person = fc.nat(PEOPLE.length - 1)
/** -1: the latest */
const which = fc.oneof({ weight: 2, arbitrary: fc.nat(7) }, { weight: 1, arbitrary: fc.constant(-1) })
const aSetting = fc.record({
  do: fc.constant('setting'),
  name: fc.constantFrom('ask1', 'ask2'),
  rules: fc.nat(RULES.length - 1),
  cap: fc.nat(CAPS.length - 1),
  reach: fc.nat(REACH.length - 1),
  denies: fc.constantFrom(null, null, null, 'q'),
})
const aQuestion = fc.record({
  do: fc.constant('ask'),
  who: fc.nat(1),
  roles: fc.constantFrom(['p'], ['q'], ['p', 'q'], ['q', 'p'], ['*']),
  duration: fc.constantFrom(null, HOUR, 3 * HOUR, 6 * HOUR),
  pending: fc.constantFrom(30 * MINUTE, DAY, null),
  reason: fc.nat(2),
  // Milliseconds from now on, where it is a number.
  start: fc.constantFrom<ModelStart>(
    ...(['approval', 'approval', 'approval', 'first-use', 'first-use'] as const),
    ...[20 * MINUTE, 3 * HOUR, -MINUTE, 8 * DAY],
  ),
})
const aVote = fc.record({
  do: fc.constant('vote'),
  who: person,
  which,
  approve: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  duration: fc.constantFrom(null, null, null, 30 * MINUTE, 2 * HOUR, 9 * HOUR),
  reason: fc.nat(1),
  stale: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})
const anExtension = fc.record({
  do: fc.constant('extend'),
  /** null: whose it is */
  who: fc.constantFrom(null, null, 0, 2),
  which,
  duration: fc.constantFrom(30 * MINUTE, HOUR, 6 * HOUR),
  reason: fc.nat(1),
})
const aTakingBack = fc.record({ do: fc.constantFrom('returned', 'revoked'), who: person, which })
/** What ask1 and ask2 say at first. */
const STARTS = Array.from({ length: 24 }, (_, n) =>
  ([0, 1] as const).map((k): AskSetting => {
    const reach = [1, 1, 0, 2][(n + 2 * k) % 4] ?? 1
    return { rules: (n + 2 * k) % RULES.length, cap: (n + k) % CAPS.length, reach, denies: n % 12 === 11 ? 'q' : null }
  }),
)
/** Before everything else: with it, nothing needs to be written. */
const aStart = fc.record({ do: fc.constant('start'), start: fc.nat(STARTS.length - 1) })
export const anAction = fc.oneof(
  { weight: 6, arbitrary: aQuestion },
  { weight: 22, arbitrary: aVote },
  { weight: 3, arbitrary: anExtension },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('use'), which }) },
  // Killed before the commit, and started again on what the store has; or just started again.
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash'),
      inner: fc.oneof(aQuestion, aVote, anExtension, aTakingBack),
      cold: fc.nat(3).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel'), who: person, which }) },
  { weight: 2, arbitrary: aTakingBack },
  { weight: 3, arbitrary: aSetting },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('content'), role: fc.constantFrom(...ASKED), content: fc.nat(2) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('user'),
      who: person,
      rights: fc.nat(RIGHTS.length - 1),
      x: fc.boolean(),
      disabled: fc.nat(3),
      reset: fc.nat(5),
      rename: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove'), what: fc.nat(9), who: person }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('lock'),
      kind: fc.constantFrom('user', 'role', 'request'),
      who: person,
      role: fc.constantFrom('p', 'q', 'rev-all'),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unlock'), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('clock'),
      by: fc.constantFrom(MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, -30_000, -2 * HOUR),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep') }) },
)
export type Action = typeof anAction | typeof aStart extends fc.Arbitrary<infer T> ? T : never
const approvalBy =
  (at: number) =>
  (who: number): Action => {
    return { do: 'vote', who, which: at, approve: true, duration: null, reason: 0, stale: false }
  }
const someReviewers = fc.subarray([2, 3, 4, 5])
/** More time, or something else, and people who approve it: what random steps seldom come to. */
const aStory = fc
  .tuple(fc.oneof(anExtension, aQuestion), someReviewers)
  .map(([asked, voters]): Action[] => [asked, ...voters.map(approvalBy(-1))])
const steps = fc.oneof(
  { weight: 12, arbitrary: anAction.map((action): Action[] => [action]) },
  { weight: 1, arbitrary: aStory },
)
/** A question first, so that there is something to decide about; in most, people approve it, and grants come of it. */
export const aHistory = fc
  .tuple(aStart, aQuestion, someReviewers, fc.array(steps, { minLength: 5, maxLength: 25, size: 'max' }))
  .map(([start, question, voters, rest]): Action[] => {
    return [start, question, ...voters.map(approvalBy(0)), ...rest.flat()]
  })

/** Throws with a description of the first difference; gives the types of the events that came of it. */
export async function playHistory(history: readonly Action[]): Promise<readonly string[]> {
  const [first] = history
  const run = await Run.start(first?.do === 'start' ? first.start : null)
  try {
    for (const [step, action] of history.entries()) await run.step(step, action)
    return run.compareEvents()
  } finally {
    await run.close()
  }
}

class Run {
  #world: AccessWorld
  readonly #model: Model
  readonly #ids: string[] = []
  readonly #prints: { requestDigest: string; factsDigest: string }[] = []
  readonly #lockIds = new Map<number, string>()
  #locks = 0
  /** When people were disabled last */
  readonly #disabledAt = new Map<string, number>()
  /** What was compared last: the same needs no second look */
  #compared = ''

  private constructor(world: AccessWorld) {
    this.#world = world
    this.#model = new Model(world.clock.now())
  }

  static async start(start: number | null): Promise<Run> {
    const run = new Run(await ReusedStore.get().world(`decisions ${start}`, (world) => Run.furnish(world, start)))
    run.#settle(start)
    for (const [index, name] of PEOPLE.entries()) {
      run.#model.users.set(name, {
        roles: rolesAtFirst(index),
        x: index % 2 === 1,
        disabled: false,
        deleted: false,
        votesFrom: 0,
      })
    }
    return run
  }

  /** Writes what every history starts with. */
  static async furnish(world: AccessWorld, start: number | null): Promise<void> {
    const run = new Run(world)
    run.#settle(start)
    const where = 'request.duration <= duration("2h")'
    for (const role of ASKED) {
      await run.#content(role, 0)
      await world.role(`rev-${role}`, { allow: { review_requests: { roles: [role] } } })
      await world.role(`no-${role}`, { deny: { review_requests: { roles: [role] } } })
    }
    await world.role('rev-all', { allow: { review_requests: { roles: ['*'] } } })
    await world.role('rev-short', { allow: { review_requests: { roles: ['^[pq]$'], where } } })
    for (const name of ['ask1', 'ask2'] as const) await run.#setting(name, run.#model.settings[name])
    for (const [index, name] of PEOPLE.entries()) {
      await world.user(name, { roles: rolesAtFirst(index), traits: { team: index % 2 ? ['x'] : [] } })
    }
  }

  #settle(start: number | null): void {
    const [ask1, ask2] = STARTS[start ?? -1] ?? []
    Object.assign(this.#model.settings, { ...(ask1 && { ask1 }), ...(ask2 && { ask2 }) })
  }

  close(): Promise<void> {
    return this.#world.stop()
  }

  /** Nothing of what `inner` would do reaches the store, and the engine starts again on what is there. */
  async #crash(inner: Action, cold: boolean): Promise<void> {
    const { database } = this.#world
    const { transact: whole } = database
    const transact = whole.bind(database)
    database.transact = (work) =>
      transact(async (tx) => {
        await work(tx)
        throw new Error('killed before the commit')
      })
    const ignored: string[] = []
    const requests = this.#ids.length
    await this.#play(inner, ignored, ignored, false)
    this.#ids.length = requests
    this.#prints.length = requests
    database.transact = whole
    this.#world = await ReusedStore.get().restart(this.#world, cold)
  }

  async step(step: number, action: Action): Promise<void> {
    const expected: string[] = []
    const found: string[] = []
    if (action.do === 'ask' || action.do === 'extend' || action.do === 'vote') this.#passDisabling()
    await this.#play(action, expected, found)
    const where = `step ${step} ${JSON.stringify(action)}`
    same(`${where}: answer`, found, expected)
    const modelled = this.#ids.map((_id, index) => this.#expected(index))
    // Of the same store at the same instant, the product shows the same.
    const state = JSON.stringify([ReusedStore.get().head(), this.#world.clock.now(), modelled])
    if (state === this.#compared && action.do !== 'crash') return
    for (const [index, id] of this.#ids.entries())
      same(`${where}: request ${index}`, await this.#shown(id), modelled[index])
    this.#compared = state
  }

  /**
   * What is asked for or given at an instant no later than that of a disabling counts as from before it, so that an account
   * enabled again on a clock set back gets too little rather than too much. The model goes by the order of the steps.
   */
  #passDisabling(): void {
    const { clock } = this.#world
    const enabled = PEOPLE.filter((name) => this.#model.users.get(name)?.disabled === false)
    const last = Math.max(...enabled.map((name) => this.#disabledAt.get(name) ?? 0))
    if (clock.now() > last || clock.now() < last - MINUTE) return
    clock.jumpTo(last + 1)
    this.#model.now = clock.now()
  }

  /** `happens`: false for what does not reach the model. */
  async #play(action: Action, expected: string[], found: string[], happens = true): Promise<unknown> {
    const world = this.#world
    const model = this.#model
    const both = async (modelSays: () => string, productDoes: () => Promise<unknown>): Promise<void> => {
      if (happens) expected.push(modelSays())
      found.push(
        await productDoes().then(
          () => 'ok',
          (error: { code?: string }) => error.code ?? String(error),
        ),
      )
    }
    const at = 'which' in action ? placeOf(action.which, this.#ids.length) : 0
    const id = this.#ids[at]
    const request = model.requests[at]
    const who = 'who' in action ? action.who : 0
    const name = who === null ? (request?.user ?? 'ada') : (PEOPLE[who] ?? 'ada')
    switch (action.do) {
      case 'start':
        return null
      case 'ask':
        return this.#ask(action, name, both, happens)
      case 'extend':
        return id && request && this.#extend(action, name, id, request, both, happens)
      case 'use':
        return (
          id &&
          request &&
          both(
            () => model.use(request),
            () => world.use(id),
          )
        )
      case 'crash':
        return this.#crash(action.inner as Action, action.cold)
      case 'vote':
        return id && request && this.#vote(action, name, id, request, this.#prints[at], both)
      case 'cancel':
        return (
          id &&
          request &&
          both(
            () => model.cancel(name, request),
            () => world.requests.cancel(callerNamed(name), id),
          )
        )
      case 'returned':
        return (
          id &&
          request &&
          both(
            () => model.takeBack('returned', name, request),
            () => world.requests.return(callerNamed(name), id),
          )
        )
      case 'revoked':
        return (
          id &&
          request &&
          both(
            () => model.takeBack('revoked', name, request),
            () => world.requests.revoke(callerNamed(name), id, ''),
          )
        )
      case 'setting': {
        const setting: AskSetting = { rules: action.rules, cap: action.cap, reach: action.reach, denies: action.denies }
        return both(
          () => model.edit(() => void (model.settings[action.name] = setting)),
          () => this.#setting(action.name, setting),
        )
      }
      case 'content':
        if (model.contents[action.role] === null) return null
        return both(
          () => model.edit(() => void (model.contents[action.role] = action.content)),
          () => this.#content(action.role, action.content),
        )
      case 'user':
        return this.#user(action, name, both)
      case 'remove':
        return this.#remove(action.what, name, both)
      case 'lock':
        return this.#lock(action, name, at, both)
      case 'unlock': {
        const key = [...model.locks.keys()][placeOf(action.which, model.locks.size)]
        const lockId = key === undefined ? undefined : this.#lockIds.get(key)
        if (key === undefined || lockId === undefined) return null
        return both(
          () => model.edit(() => void model.locks.delete(key)),
          () => world.unlock(lockId),
        )
      }
      case 'clock':
        world.clock.jumpTo(world.clock.now() + action.by)
        model.now = world.clock.now()
        return null
      case 'sweep':
        model.sweep()
        await world.sweeper.sweep()
        return null
    }
  }

  async #ask(action: Extract<Action, { do: 'ask' }>, name: string, both: Both, happens: boolean): Promise<void> {
    const start = typeof action.start === 'number' ? this.#model.now + action.start : action.start
    const more = {
      reason: `reason ${action.reason}`,
      start: typeof start === 'number' ? ({ at: 'instant', instant: start } as const) : { at: start },
      ...(action.pending ? { pendingFor: action.pending } : {}),
      ...(action.duration ? { duration: action.duration } : {}),
    }
    await both(
      () => this.#model.ask(name, action.roles, action.duration, action.pending, more.reason, start),
      async () => {
        const made = await this.#world.ask(name, action.roles, more)
        await this.#isShown(name, made)
        this.#made(made)
      },
    )
    if (happens) same('requests made', this.#ids.length, this.#model.requests.length)
  }

  async #extend(
    action: Extract<Action, { do: 'extend' }>,
    name: string,
    id: string,
    request: ModelRequest,
    both: Both,
    happens: boolean,
  ): Promise<void> {
    const reason = `more ${action.reason}`
    const asked = { reason, durationMs: action.duration, pendingForMs: null, reviewers: [] }
    await both(
      () => this.#model.extend(name, request, action.duration, reason),
      async () => this.#made(await this.#world.requests.extend(callerNamed(name), id, asked)),
    )
    if (happens) same('requests made', this.#ids.length, this.#model.requests.length)
  }

  /** What a deed answers is what a look finds then. */
  async #isShown(name: string, answer: AccessRequest): Promise<void> {
    same('the answer', answer, await this.#world.requests.show(callerNamed(name), answer.id))
  }

  #made(request: AccessRequest): void {
    if (this.#ids.includes(request.id)) return
    this.#ids.push(request.id)
    this.#prints.push(request)
  }

  #vote(
    action: Extract<Action, { do: 'vote' }>,
    name: string,
    id: string,
    request: ModelRequest,
    first: { requestDigest: string; factsDigest: string } | undefined,
    both: Both,
  ): Promise<void> {
    const reason = `because ${action.reason}`
    return both(
      () => this.#model.vote(name, request, action.approve, action.duration, reason, action.stale),
      async () => {
        const now = await this.#world.show(id)
        const { requestDigest, factsDigest } = action.stale && first ? first : now
        // A retry after the decision knows the request as it was asked.
        const terms = { durationMs: now.grantedDuration, startAt: now.grantedStart }
        const shown = now.state === 'pending' ? terms : null
        const decision = action.approve ? 'approve' : 'deny'
        const limits = { durationMs: action.duration, startAt: null, shown }
        const ballot = { decision, reason, ...limits, requestDigest, factsDigest } as const
        // With a second factor that was just proven, and with one that is demanded.
        const demand = action.reason % 2 === 0 ? null : async (): Promise<null> => null
        await this.#isShown(name, await this.#world.requests.review(callerNamed(name), id, ballot, demand))
      },
    )
  }

  /** Names change under people's feet: their sessions go on under the old one, and rights follow ids. */
  async #user(action: Extract<Action, { do: 'user' }>, name: string, both: Both): Promise<void> {
    const before = this.#model.users.get(name)
    if (!before || before.deleted) return
    const roles = [...(RIGHTS[action.rights] ?? [])]
    const disabled = action.disabled === 0
    const votesFrom = action.reset === 0 ? this.#model.now + HOUR : before.votesFrom
    const shown = action.rename === 0 ? `${name}-renamed` : name
    const row = { roles, traits: { team: action.x ? ['y', 'x'] : ['y'] }, disabled, votesCountFrom: votesFrom }
    if (disabled) this.#disabledAt.set(name, this.#model.now)
    await both(
      () =>
        this.#model.edit(
          () => void this.#model.users.set(name, { roles, x: action.x, disabled, deleted: false, votesFrom }),
        ),
      () => this.#world.user(shown, row, `usr_${name}`),
    )
  }

  async #remove(what: number, name: string, both: Both): Promise<void> {
    const user = this.#model.users.get(name)
    if (what === 0 && this.#model.contents.q !== null)
      await both(
        () => this.#model.edit(() => void (this.#model.contents.q = null)),
        () => this.#world.deleteRole('rol_q'),
      )
    if (what === 1 && user && !user.deleted)
      await both(
        () => this.#model.edit(() => void (user.deleted = true)),
        () => this.#world.deleteUser(`usr_${name}`),
      )
  }

  async #lock(action: Extract<Action, { do: 'lock' }>, name: string, at: number, both: Both): Promise<void> {
    const id = this.#ids[at]
    if (action.kind === 'request' && id === undefined) return
    const key = this.#locks++
    const target = action.kind === 'user' ? name : action.kind === 'role' ? action.role : String(at)
    const real = action.kind === 'user' ? `usr_${name}` : action.kind === 'role' ? `rol_${action.role}` : (id ?? '')
    await both(
      () => this.#model.edit(() => void this.#model.locks.set(key, { kind: action.kind, target })),
      async () => void this.#lockIds.set(key, await this.#world.lock(action.kind, real)),
    )
  }

  #setting(name: 'ask1' | 'ask2', setting: AskSetting): Promise<void> {
    const cap = CAPS[setting.cap]
    const thresholds = (RULES[setting.rules] ?? []).map(({ x, approve, deny, distinct }) => {
      return {
        approve,
        deny,
        ...(distinct ? { distinct } : {}),
        ...(x ? { filter: '"x" in reviewer.traits.team' } : {}),
      }
    })
    const request = {
      roles: [...(REACH[setting.reach] ?? [])],
      thresholds,
      ...(cap ? { max_duration: `${cap / HOUR}h` } : {}),
    }
    return this.#world.role(name, {
      allow: { request },
      deny: setting.denies ? { request: { roles: [setting.denies] } } : {},
    })
  }

  #content(role: AskedRole, content: number): Promise<void> {
    return this.#world.role(role, { allow: { logins: LOGINS[content] ?? [], node_labels: { env: 'prod' } } })
  }

  async #shown(id: string): Promise<unknown> {
    const shown = await this.#world.show(id)
    const [grant = null] = ReusedStore.get().all(
      'select * from grants where request_id = ?',
      id,
    ) as Partial<GrantsTable>[] as GrantsTable[]
    return {
      state: shown.state,
      duration: shown.duration,
      granted: shown.state === 'pending' ? shown.grantedDuration : null,
      votes: shown.reviews.map((review) => [review.reviewer.replace('-renamed', ''), review.decision, review.why]),
      counts: shown.progress.map((entry) => [entry.approvals, entry.denials]),
      stuck: shown.warnings.includes('nobody_can_approve'),
      grant: grant && [
        ...[grant.starts_at, grant.ends_at, grant.use_by, grant.end_reason, grant.suspended],
        shown.grant?.state,
      ],
      logins: grant && loginsOf(grant),
    }
  }

  #expected(index: number): unknown {
    const model = this.#model
    const request = model.requests[index]
    if (!request) throw new Error(`the model has no request ${index}`)
    const state = request.state === 'pending' && model.now >= request.pendingUntil ? 'expired' : request.state
    const { grant } = request
    return {
      state,
      duration: request.duration,
      granted: state === 'pending' ? model.granted(request) : null,
      votes: request.votes.map((vote) => [vote.who, vote.approve ? 'approve' : 'deny', model.why(request, vote)]),
      counts: model.counts(request),
      stuck: state === 'pending' && !model.reachable(request),
      grant: grant && [
        ...[grant.startsAt, grant.endsAt, grant.useBy, grant.over, grant.suspended],
        grantStateAt(grant, model.now),
      ],
      logins: grant && model.logins(request, grant),
    }
  }

  /** One decision event and one grant for each decision, and nothing else was decided. */
  compareEvents(): readonly string[] {
    const types = ReusedStore.get()
      .all('select type from audit_events order by seq')
      .map((row) => String(row['type']))
    const count = (type: string): number => types.filter((other) => other === type).length
    const inState = (state: string): number => this.#model.requests.filter((request) => request.state === state).length
    const { schedule, start, extend } = this.#model.told
    same(
      'decision events',
      ['access_request.approve', 'access_request.deny', 'grant.schedule', 'grant.start', 'grant.extend'].map(count),
      [inState('approved'), inState('denied'), schedule, start, extend],
    )
    return types
  }
}

const placeOf = (which: number, of: number): number => (which < 0 ? Math.max(0, of - 1) : which % Math.max(1, of))

function grantStateAt(grant: ModelGrant, now: number): string {
  if (grant.over || now >= clockEnd(grant).at) return 'ended'
  return grant.started || (grant.useBy === null && now >= grant.startsAt) ? 'active' : 'scheduled'
}

const rolesAtFirst = (index: number): string[] =>
  [
    ['ask1', 'rev-all'],
    ['ask1', 'ask2'],
  ][index] ?? ['rev-all']

/** What the pinned and the current revisions of the granted roles give together on a production node. */
function loginsOf(grant: GrantsTable): string[] {
  const pinned = JSON.parse(grant.roles_json) as { id: string; name: string; revision: number }[]
  const roles = pinned.map(({ id, name, revision }): WorkingRole => {
    const specs = ReusedStore.get().all(
      `select spec_json from role_revisions n join roles r on r.id = n.role_id
       where r.id = ? and r.deleted_at is null and (n.revision = ? or n.revision = r.revision)`,
      id,
      revision,
    )
    return {
      id,
      name,
      origin: { kind: 'granted', grantId: grant.id },
      specs: specs.map((one) => JSON.parse(String(one['spec_json'])) as RoleSpec),
      confinedTo: null,
    }
  })
  return [...nodeAccess(roles, { ...absentResource('node', 'box'), labels: { env: 'prod' } }).logins.keys()]
}

type Both = (modelSays: () => string, productDoes: () => Promise<unknown>) => Promise<void>

function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}\n  product: ${one}\n  model:   ${other}`)
}
