import fc from 'fast-check'
import { Delegations } from '../../src/access/delegation/delegations.ts'
import { callerNamed, type AccessWorld } from '../support/access-world.ts'
import { ReusedStore } from '../support/reused-store.ts'
import {
  ACCOUNTS,
  DAY,
  GROUPS,
  HOUR,
  HUMANS,
  REQUESTED,
  RIGHTS,
  SeatModel,
  VOTERS,
  type GroupRule,
  type Human,
  type Requested,
  type Right,
} from './seat-model.ts'

// Plays one history of asking, delegating, voting and waiting on product and model, and compares them after each step.

const HELD: readonly (readonly Right[])[] = [
  [],
  ['all'],
  ['office'],
  ['night-p'],
  ['only-q'],
  ['office', 'night-p'],
  ['all', 'only-q'],
]

/** What r1 to r4 hold at first, and then the service accounts, as indexes into the list above. */
const CASTS = [
  [1, 1, 1, 1, 0, 0, 0, 0],
  [1, 1, 1, 0, 1, 1, 1, 1],
  [1, 2, 3, 4, 0, 1, 0, 0],
  [2, 2, 1, 0, 1, 0, 1, 0],
  [5, 1, 6, 3, 0, 0, 0, 1],
  [4, 1, 0, 1, 1, 4, 1, 0],
] as const

const somebody = fc.nat(HUMANS.length - 1)
const anybody = fc.nat(VOTERS.length - 1)
const which = fc.nat(5)
export const aSeatAction = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask'),
      roles: fc.constantFrom(['p'], ['q'], ['p', 'q']),
      pending: fc.constantFrom(5 * HOUR, 3 * DAY),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('delegate'),
      who: somebody,
      to: fc.oneof({ weight: 9, arbitrary: somebody }, { weight: 1, arbitrary: anybody }),
      roles: fc.constantFrom(null, null, ['p'], ['q']),
      length: fc.constantFrom(HOUR, DAY, 4 * DAY),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('undelegate'), which }) },
  {
    weight: 18,
    arbitrary: fc.record({
      do: fc.constant('vote'),
      who: anybody,
      which: fc.nat(1),
      approve: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      as: fc.option(somebody, { freq: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('human'), who: anybody, held: fc.nat(HELD.length - 1), x: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('disable', 'enable', 'remove', 'reset'), who: anybody }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lock', 'unlock'), who: anybody }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.constantFrom(1, HOUR - 1, HOUR, 5 * HOUR, 11 * HOUR, DAY) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep') }) },
)
export type SeatAction = typeof aSeatAction extends fc.Arbitrary<infer T> ? T : never

const ALWAYS_HALF = fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 2, arbitrary: fc.constant(false) })
const casting = (who: number, as: number | null, approve: boolean): SeatAction => ({
  do: 'vote',
  who,
  which: 0,
  approve,
  as,
})
/**
 * Somebody is absent, two stand in for them, one of these for another one, too: then they all vote, change their minds, and something
 * becomes of the absent one. Random steps seldom come to that.
 */
const aSitting = fc
  .tuple(
    fc.shuffledSubarray([1, 2, 3, 4], { minLength: 4, maxLength: 4 }),
    fc.shuffledSubarray([0, 1, 2], { minLength: 1 }),
    fc.array(fc.tuple(fc.nat(9), ALWAYS_HALF), { minLength: 2, maxLength: 7, size: 'max' }),
  )
  .map(([[absent = 1, one = 2, other = 3, another = 4], delegations, moves]): SeatAction[] => {
    const standIn = (who: number, to: number): SeatAction => ({ do: 'delegate', who, to, roles: null, length: 4 * DAY })
    const stands = [standIn(absent, one), standIn(absent, other), standIn(another, one)]
    return [
      ...delegations.flatMap((index) => stands[index] ?? []),
      ...moves.flatMap(([move, approve]): SeatAction[] => {
        if (move === 0) return [casting(absent, null, approve)]
        if (move <= 2) return [casting(one, absent, approve)]
        if (move <= 4) return [casting(other, absent, approve)]
        if (move <= 6) return [casting(one, another, approve)]
        if (move === 7) return [{ do: 'reset', who: absent }]
        if (move === 8)
          return [
            { do: approve ? 'lock' : 'disable', who: absent },
            { do: approve ? 'unlock' : 'enable', who: absent },
          ]
        return [casting(one, null, approve)]
      }),
    ]
  })
/**
 * An owner and their service accounts vote, beside somebody who stands in for the owner and somebody the owner stands in for.
 */
const aHousehold = fc
  .tuple(
    fc.shuffledSubarray([0, 1, 2], { minLength: 0, maxLength: 3 }),
    fc.array(fc.tuple(fc.nat(8), ALWAYS_HALF), { minLength: 3, maxLength: 8, size: 'max' }),
  )
  .map(([prologue, moves]): SeatAction[] => {
    const [owner, absent, other] = [1, 2, 3]
    const before: readonly SeatAction[] = [
      { do: 'delegate', who: absent, to: owner, roles: null, length: 4 * DAY },
      { do: 'delegate', who: owner, to: other, roles: null, length: 4 * DAY },
      { do: 'human', who: 5, held: 1, x: true },
    ]
    return [
      ...prologue.flatMap((index) => before[index] ?? []),
      ...moves.map(([move, approve]): SeatAction => {
        if (move <= 1) return casting(5, null, approve)
        if (move <= 3) return casting(6, null, approve)
        if (move === 4) return casting(owner, null, approve)
        if (move === 5) return casting(owner, absent, approve)
        if (move === 6) return casting(other, owner, approve)
        if (move === 7) return casting(other, null, approve)
        return { do: approve ? 'disable' : 'enable', who: owner }
      }),
    ]
  })
export const aSeatHistory = fc.tuple(
  fc.nat(GROUPS.length - 1),
  fc.nat(CASTS.length - 1),
  fc
    .tuple(
      fc.oneof(
        { weight: 4, arbitrary: aSitting },
        { weight: 3, arbitrary: aHousehold },
        { weight: 2, arbitrary: fc.constant<SeatAction[]>([]) },
      ),
      fc.array(aSeatAction, { minLength: 5, maxLength: 25, size: 'max' }),
    )
    .map(([sitting, rest]) => [...sitting, ...rest]),
)
type SeatHistory = typeof aSeatHistory extends fc.Arbitrary<infer T> ? T : never

/** Throws with a description of the first difference. */
export async function playSeats([groups, cast, actions]: SeatHistory): Promise<void> {
  const run = await SeatRun.start(groups, cast)
  try {
    await run.step('ask', { do: 'ask', roles: ['p', 'q'], pending: 3 * DAY })
    for (const [step, action] of actions.entries()) await run.step(String(step), action)
  } finally {
    await run.close()
  }
}

class SeatRun {
  readonly #world: AccessWorld
  readonly #model: SeatModel
  readonly #delegations: Delegations
  readonly #ids: string[] = []
  readonly #stands: (string | null)[] = []
  readonly #locks = new Map<string, string>()
  /** What was compared last: the same needs no second look */
  #compared = ''

  private constructor(world: AccessWorld, groups: number, cast: number) {
    this.#world = world
    // A Wednesday morning.
    world.clock.jumpTo(Date.UTC(2026, 6, 1, 8, 30))
    this.#model = new SeatModel(world.clock.now())
    this.#model.groups = groups
    for (const [index, name] of VOTERS.entries()) {
      const rights = name === 'ada' ? (['all'] as const) : (HELD[CASTS[cast]?.[index - 1] ?? 0] ?? [])
      const fresh = { disabled: false, deleted: false, locked: false, votesFrom: 0 }
      this.#model.humans.set(name, { rights, x: index % 2 === 1, ...fresh })
    }
    this.#delegations = new Delegations({ reads: world.database.reads, deeds: world.deeds, clock: world.clock })
  }

  static async start(groups: number, cast: number): Promise<SeatRun> {
    const world = await ReusedStore.get().world(`seats ${groups} ${cast}`, async (empty) => {
      await furnish(empty, groups)
      const run = new SeatRun(empty, groups, cast)
      for (const name of VOTERS) await run.#write(name)
    })
    return new SeatRun(world, groups, cast)
  }

  close(): Promise<void> {
    return this.#world.stop()
  }

  async #write(name: string): Promise<void> {
    const human = this.#model.humans.get(name)
    if (!human) return
    const owner = (ACCOUNTS as Readonly<Record<string, string>>)[name]
    await this.#world.user(name, {
      ...(owner === undefined ? {} : { owner }),
      roles: [...(name === 'ada' ? ['ask1', 'ask2'] : []), ...human.rights],
      traits: { team: human.x ? ['x'] : [] },
      disabled: human.disabled,
      votesCountFrom: human.votesFrom === 0 ? null : human.votesFrom,
    })
  }

  async step(step: string, action: SeatAction): Promise<void> {
    const where = `step ${step} ${JSON.stringify(action)}`
    const [expected, found] = await this.#play(action)
    same(`${where}: answer`, found, expected)
    const modelled = this.#ids.map((_id, index) => this.#modelled(index))
    // Of the same store at the same instant, the product shows the same.
    const state = JSON.stringify([ReusedStore.get().head(), this.#world.clock.now(), modelled])
    if (state === this.#compared) return
    for (const index of this.#ids.keys()) same(`${where}: request ${index}`, await this.#shown(index), modelled[index])
    this.#compared = state
  }

  /** What the model says, and what the product does. */
  async #play(action: SeatAction): Promise<[string, string]> {
    const world = this.#world
    const model = this.#model
    const name = 'who' in action ? (VOTERS[action.who] ?? 'ada') : 'ada'
    switch (action.do) {
      case 'ask':
        return this.#ask(action.roles, action.pending)
      case 'delegate': {
        const to = VOTERS[action.to] ?? 'ada'
        const roles: readonly Requested[] | null = action.roles
        const until = world.clock.now() + action.length
        const expected = model.delegate(name, to, roles, action.length)
        const asked = { to, until, roles, reason: '' }
        const found = await answerOf(
          this.#delegations.add(callerNamed(name), asked).then(({ id }) => this.#stands.push(id)),
        )
        return [expected, found]
      }
      case 'undelegate': {
        const index = action.which % Math.max(1, this.#stands.length)
        const [id, stand] = [this.#stands[index], model.stands[index]]
        if (typeof id !== 'string' || !stand) return ['ok', 'ok']
        return [model.undelegate(index), await answerOf(this.#delegations.remove(callerNamed(stand.absent), id))]
      }
      case 'vote': {
        const index = Math.max(0, this.#ids.length - 1 - action.which)
        const [id, ask] = [this.#ids[index], model.asks[index]]
        if (id === undefined || !ask) return ['ok', 'ok']
        const as = action.as === null ? null : (HUMANS[action.as] ?? 'ada')
        const more = as === null ? {} : { onBehalfOf: as }
        const expected = model.vote(name, ask, action.approve, as)
        return [
          expected,
          await answerOf(world.vote(name, id, action.approve ? 'approve' : 'deny', more).catch(shownAnyway)),
        ]
      }
      case 'human':
        return this.#edit(name, { rights: HELD[action.held] ?? [], x: action.x })
      case 'disable':
      case 'enable':
        return this.#edit(name, { disabled: action.do === 'disable' })
      case 'reset':
        return this.#edit(name, { votesFrom: world.clock.now() + DAY })
      case 'remove': {
        if (!['r4', 'bot-1b'].includes(name) || model.humans.get(name)?.deleted) return ['ok', 'ok']
        await world.deleteUser(`usr_${name}`)
        model.edit(name, { deleted: true })
        return ['ok', 'ok']
      }
      case 'lock':
      case 'unlock':
        return this.#lock(name, action.do === 'lock')
      case 'pass':
        world.clock.jumpTo(world.clock.now() + action.ms)
        model.now = world.clock.now()
        return ['ok', 'ok']
      case 'sweep':
        await world.sweeper.sweep()
        model.sweep()
        return ['ok', 'ok']
    }
  }

  /** That too much is asked, or too soon after a denial, is another model's matter. */
  async #ask(roles: readonly Requested[], pending: number): Promise<[string, string]> {
    const more = { pendingFor: pending, reason: `ask ${this.#ids.length}` }
    const made = await this.#world.ask('ada', roles, more).catch((error: { code?: string }) => {
      if (error.code === 'cooling_down' || error.code === 'ask_rate') return null
      throw error
    })
    if (!made) return ['ok', 'ok']
    this.#model.ask(roles, pending)
    this.#ids.push(made.id)
    return ['ok', 'ok']
  }

  /** `ada` stays as she is: what becomes of a requester is another model's matter. */
  async #edit(name: string, change: Partial<Human>): Promise<[string, string]> {
    if (name === 'ada' || this.#model.humans.get(name)?.deleted) return ['ok', 'ok']
    this.#model.edit(name, change)
    await this.#write(name)
    return ['ok', 'ok']
  }

  async #lock(name: string, locked: boolean): Promise<[string, string]> {
    const known = this.#locks.get(name)
    if (name === 'ada' || locked === (known !== undefined)) return ['ok', 'ok']
    if (known !== undefined) await this.#world.unlock(known)
    if (known === undefined) this.#locks.set(name, await this.#world.lock('user', `usr_${name}`))
    else this.#locks.delete(name)
    this.#model.edit(name, { locked })
    return ['ok', 'ok']
  }

  async #shown(index: number): Promise<unknown> {
    const shown = await this.#world.show(this.#ids[index] ?? '')
    return {
      state: shown.state,
      votes: shown.reviews.map(({ reviewer, onBehalfOf, why }) => [reviewer, onBehalfOf ?? reviewer, why]),
      counts: shown.progress.map(({ approvals, denials }) => [approvals, denials]),
      reviewers: shown.reviewers,
      notNow: shown.notNow.map(({ name }) => name),
      delegates: [...new Set(shown.delegates.map(({ name, onBehalfOf }) => `${name} for ${onBehalfOf}`))].sort(),
      stuck: shown.warnings.includes('nobody_can_approve'),
    }
  }

  #modelled(index: number): unknown {
    const model = this.#model
    const ask = model.asks[index]
    if (!ask) return null
    return {
      state: model.shownState(ask),
      votes: ask.votes.map((vote) => [vote.who, vote.as, model.why(ask, vote)]),
      counts: model.counts(ask),
      ...model.answerers(ask),
    }
  }
}

async function furnish(world: AccessWorld, groups: number): Promise<void> {
  for (const role of REQUESTED) await world.role(role)
  for (const [name, { roles, days, from, to }] of Object.entries(RIGHTS)) {
    const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
    const hour = (each: number): string => `${String(each).padStart(2, '0')}:00`
    const window = { days: days.map((day) => names[day]), from: hour(from), to: hour(to), zone: 'UTC' }
    const always = name === 'all' || name === 'only-q'
    await world.role(name, { allow: { review_requests: { roles: [...roles], ...(always ? {} : { window }) } } })
  }
  await world.role('ask1', { allow: { request: { roles: ['p', 'q'], thresholds: yamlOf(GROUPS[groups]?.ask1) } } })
  await world.role('ask2', { allow: { request: { roles: ['p'], thresholds: yamlOf(GROUPS[groups]?.ask2) } } })
}

/** A vote that was taken although its voter may not see the request any more. */
function shownAnyway(error: { code?: string }): unknown {
  if (error.code === 'not_found') return null
  throw error
}

const answerOf = (deed: Promise<unknown>): Promise<string> =>
  deed.then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  )

function yamlOf(rules: readonly GroupRule[] = []): object[] {
  return rules.map(({ x, approve, deny, distinct }, index) => {
    const filter = x ? { filter: '"x" in reviewer.traits.team' } : {}
    return { name: `t${index}`, approve, deny, ...(distinct ? { distinct } : {}), ...filter }
  })
}

function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}\n  product: ${one}\n  model:   ${other}`)
}
