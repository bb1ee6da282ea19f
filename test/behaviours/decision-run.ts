import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { RoleSpec } from '../../src/contract/role.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { nodeAccess, type WorkingRole } from '../../src/identity/node-access.ts'
import { absentResource } from '../../src/resources/resource.ts'
import { AccessWorld, callerNamed } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
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
  type ModelRequest,
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
const which = fc.nat(7)
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
  pending: fc.constantFrom(30 * MINUTE, DAY),
  reason: fc.nat(2),
})
export const anAction = fc.oneof(
  { weight: 6, arbitrary: aQuestion },
  {
    weight: 22,
    arbitrary: fc.record({
      do: fc.constant('vote'),
      who: person,
      which,
      approve: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      duration: fc.constantFrom(null, null, null, 30 * MINUTE, 2 * HOUR, 9 * HOUR),
      reason: fc.nat(1),
      stale: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel'), who: person, which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('returned', 'revoked'), who: person, which }) },
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
export type Action = typeof anAction extends fc.Arbitrary<infer T> ? T : never
/** Rules and a question first, so that there is something to decide about. */
export const aHistory = fc
  .tuple(aSetting, aSetting, aQuestion, fc.array(anAction, { maxLength: 30, size: 'max' }))
  .map(([one, other, question, rest]): Action[] => [one, other, question, ...rest])

/** Throws with a description of the first difference. */
export async function playHistory(history: readonly Action[]): Promise<void> {
  const run = await Run.start()
  try {
    for (const [step, action] of history.entries()) await run.step(step, action)
    await run.compareEvents()
  } finally {
    await run.close()
  }
}

class Run {
  readonly #world: AccessWorld
  readonly #model: Model
  readonly #ids: string[] = []
  readonly #prints: { requestDigest: string; factsDigest: string }[] = []
  readonly #lockIds = new Map<number, string>()
  #locks = 0

  private constructor(world: AccessWorld) {
    this.#world = world
    this.#model = new Model(world.clock.now())
  }

  static async start(): Promise<Run> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-history-'))
    const path = join(folder, 'store.db')
    writeFileSync(path, await furnishedStore(), { mode: 0o600 })
    const clock = new ManualClock()
    const open = { durable: false, lock: false, clock }
    const gone = (): void => rmSync(folder, { recursive: true, force: true })
    const run = new Run(new AccessWorld(openDatabase(path, open, gone), clock))
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
  static async furnish(world: AccessWorld): Promise<void> {
    const run = new Run(world)
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

  close(): Promise<void> {
    return this.#world.close()
  }

  async step(step: number, action: Action): Promise<void> {
    const expected: string[] = []
    const found: string[] = []
    await this.#play(action, expected, found)
    const where = `step ${step} ${JSON.stringify(action)}`
    same(`${where}: answer`, found, expected)
    for (const [index, id] of this.#ids.entries())
      same(`${where}: request ${index}`, await this.#shown(id), this.#expected(index))
  }

  async #play(action: Action, expected: string[], found: string[]): Promise<unknown> {
    const world = this.#world
    const model = this.#model
    const both = async (modelSays: () => string, productDoes: () => Promise<unknown>): Promise<void> => {
      expected.push(modelSays())
      found.push(
        await productDoes().then(
          () => 'ok',
          (error: { code?: string }) => error.code ?? String(error),
        ),
      )
    }
    const name = 'who' in action ? (PEOPLE[action.who] ?? 'ada') : 'ada'
    const at = 'which' in action ? action.which % Math.max(1, this.#ids.length) : 0
    const id = this.#ids[at]
    const request = model.requests[at]
    switch (action.do) {
      case 'ask':
        return this.#ask(action, name, both)
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
        const key = [...model.locks.keys()][action.which % Math.max(1, model.locks.size)]
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

  async #ask(action: Extract<Action, { do: 'ask' }>, name: string, both: Both): Promise<void> {
    const more = {
      reason: `reason ${action.reason}`,
      pendingFor: action.pending,
      ...(action.duration ? { duration: action.duration } : {}),
    }
    const before = this.#model.requests.length
    await both(
      () => this.#model.ask(name, action.roles, action.duration, action.pending, more.reason),
      async () => {
        const request = await this.#world.ask(name, action.roles, more)
        if (this.#ids.includes(request.id)) return
        this.#ids.push(request.id)
        this.#prints.push(request)
      },
    )
    same('requests made', this.#ids.length - before, this.#model.requests.length - before)
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
        await this.#world.requests.review(callerNamed(name), id, ballot, async () => {})
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
    const grant =
      (await this.#world.database.reads
        .selectFrom('grants')
        .selectAll()
        .where('request_id', '=', id)
        .executeTakeFirst()) ?? null
    return {
      state: shown.state,
      duration: shown.duration,
      granted: shown.state === 'pending' ? shown.grantedDuration : null,
      votes: shown.reviews.map((review) => [review.reviewer.replace('-renamed', ''), review.decision, review.why]),
      counts: shown.progress.map((entry) => [entry.approvals, entry.denials]),
      stuck: shown.warnings.includes('nobody_can_approve'),
      grant: grant && [grant.starts_at, grant.ends_at, grant.end_reason, grant.suspended, shown.grant?.state],
      logins: grant && (await this.#loginsOf(grant)),
    }
  }

  /** What the pinned and the current revisions of the granted roles give together on a production node. */
  async #loginsOf(grant: { id: string; roles_json: string }): Promise<string[]> {
    const pinned = JSON.parse(grant.roles_json) as { id: string; name: string; revision: number }[]
    const roles = await Promise.all(
      pinned.map(async ({ id, name, revision }): Promise<WorkingRole> => {
        const reads = this.#world.database.reads
        const row = await reads.selectFrom('roles').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
        const ids = row.deleted_at === null ? [`${id}/${revision}`, `${id}/${row.revision}`] : []
        const specs = await Promise.all(
          ids.map((one) =>
            reads.selectFrom('role_revisions').select('spec_json').where('id', '=', one).executeTakeFirstOrThrow(),
          ),
        )
        return {
          id,
          name,
          origin: { kind: 'granted', grantId: grant.id },
          specs: specs.map((one) => JSON.parse(one.spec_json) as RoleSpec),
          confinedTo: null,
        }
      }),
    )
    return [...nodeAccess(roles, { ...absentResource('node', 'box'), labels: { env: 'prod' } }).logins.keys()]
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
        grant.startsAt,
        grant.endsAt,
        grant.over,
        grant.suspended,
        grant.over || model.now >= grant.endsAt ? 'ended' : 'active',
      ],
      logins: grant && model.logins(request, grant),
    }
  }

  /** One decision event and one grant for each decision, and nothing else was decided. */
  async compareEvents(): Promise<void> {
    const types = await this.#world.eventTypes()
    const count = (type: string): number => types.filter((other) => other === type).length
    const inState = (state: string): number => this.#model.requests.filter((request) => request.state === state).length
    same(
      'decision events',
      [count('access_request.approve'), count('grant.start'), count('access_request.deny')],
      [inState('approved'), inState('approved'), inState('denied')],
    )
  }
}

const rolesAtFirst = (index: number): string[] =>
  [
    ['ask1', 'rev-all'],
    ['ask1', 'ask2'],
  ][index] ?? ['rev-all']

let furnished: Promise<Buffer> | null = null

/** The file of a store that is furnished once and copied for every history: making one takes longer than playing in it. */
function furnishedStore(): Promise<Buffer> {
  furnished ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-furnished-'))
    const path = join(folder, 'store.db')
    const clock = new ManualClock()
    const world = await AccessWorld.open(clock, openDatabase(path, { durable: false, lock: false, clock }))
    await Run.furnish(world)
    await world.close()
    const bytes = readFileSync(path)
    rmSync(folder, { recursive: true, force: true })
    return bytes
  })()
  return furnished
}

type Both = (modelSays: () => string, productDoes: () => Promise<unknown>) => Promise<void>

function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}\n  product: ${one}\n  model:   ${other}`)
}
