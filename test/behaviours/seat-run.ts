import fc from 'fast-check'
import { Delegations } from '../../src/access/delegation/delegations.ts'
import { AccessWorld, callerNamed } from '../support/access-world.ts'
import {
  DAY,
  GROUPS,
  HOUR,
  HUMANS,
  REQUESTED,
  RIGHTS,
  SeatModel,
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

const somebody = fc.nat(HUMANS.length - 1)
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
      to: somebody,
      roles: fc.constantFrom(null, null, ['p'], ['q']),
      length: fc.constantFrom(HOUR, DAY, 4 * DAY),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('undelegate'), which }) },
  {
    weight: 18,
    arbitrary: fc.record({
      do: fc.constant('vote'),
      who: somebody,
      which: fc.nat(1),
      approve: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      as: fc.option(somebody, { freq: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('human'), who: somebody, held: fc.nat(HELD.length - 1), x: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('disable', 'enable', 'remove', 'reset'), who: somebody }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lock', 'unlock'), who: somebody }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.constantFrom(1, HOUR - 1, HOUR, 5 * HOUR, 11 * HOUR, DAY) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep') }) },
)
export type SeatAction = typeof aSeatAction extends fc.Arbitrary<infer T> ? T : never
export const aSeatHistory = fc.tuple(
  fc.nat(GROUPS.length - 1),
  fc.array(fc.nat(HELD.length - 1), { minLength: 4, maxLength: 4 }),
  fc.array(aSeatAction, { minLength: 5, maxLength: 25, size: 'max' }),
)
type SeatHistory = typeof aSeatHistory extends fc.Arbitrary<infer T> ? T : never

/** Throws with a description of the first difference. */
export async function playSeats([groups, held, actions]: SeatHistory): Promise<void> {
  const run = await SeatRun.start(groups, held)
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

  private constructor(world: AccessWorld) {
    this.#world = world
    // A Wednesday morning.
    world.clock.jumpTo(Date.UTC(2026, 6, 1, 8, 30))
    this.#model = new SeatModel(world.clock.now())
    this.#delegations = new Delegations({ reads: world.database.reads, deeds: world.deeds, clock: world.clock })
  }

  static async start(groups: number, held: readonly number[]): Promise<SeatRun> {
    const run = new SeatRun(await AccessWorld.open())
    const world = run.#world
    run.#model.groups = groups
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
    for (const [index, name] of HUMANS.entries()) {
      const rights = name === 'ada' ? (['all'] as const) : (HELD[held[index - 1] ?? 0] ?? [])
      run.#model.humans.set(name, {
        rights,
        x: index % 2 === 1,
        disabled: false,
        deleted: false,
        locked: false,
        votesFrom: 0,
      })
      await run.#write(name)
    }
    return run
  }

  close(): Promise<void> {
    return this.#world.close()
  }

  async #write(name: string): Promise<void> {
    const human = this.#model.humans.get(name)
    if (!human) return
    await this.#world.user(name, {
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
    for (const index of this.#ids.keys())
      same(`${where}: request ${index}`, await this.#shown(index), this.#modelled(index))
  }

  /** What the model says, and what the product does. */
  async #play(action: SeatAction): Promise<[string, string]> {
    const world = this.#world
    const model = this.#model
    const name = 'who' in action ? (HUMANS[action.who] ?? 'ada') : 'ada'
    switch (action.do) {
      case 'ask':
        return this.#ask(action.roles, action.pending)
      case 'delegate': {
        const to = HUMANS[action.to] ?? 'ada'
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
        if (name !== 'r4' || model.humans.get(name)?.deleted) return ['ok', 'ok']
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
