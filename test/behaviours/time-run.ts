import { createSecretKey, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { LocalControlPlane } from '../../src/connection/local-control-plane.ts'
import type { Start } from '../../src/contract/request.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import { callerNamed, type AccessWorld } from '../support/access-world.ts'
import { ReusedStore } from '../support/reused-store.ts'
import { DAY, HOUR, MINUTE, TimeModel, type ModelStart } from './time-model.ts'

// Plays one history of asking, approving, extending, connecting and waiting on product and model, and compares after each
// step who gets in, which sessions live and what is shown.

const which = fc.nat(5)
const length = fc.constantFrom(10 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, 5 * HOUR)
const ahead = fc.constantFrom(0, 10 * MINUTE, HOUR, 3 * HOUR, 8 * DAY)
export const aTimeAction = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('ask'),
      start: fc.constantFrom('approval', 'first-use', 'instant'),
      ahead,
      length,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('approve'),
      which,
      shorter: fc.option(length, { freq: 4 }),
      later: fc.option(fc.constantFrom(10 * MINUTE, HOUR, 3 * HOUR), { freq: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('extend'), which, length }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('connect') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('returned', 'revoked'), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('disable', 'enable') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep') }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('pass'),
      ms: fc.constantFrom(1, 5 * MINUTE, 10 * MINUTE - 1, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, DAY),
    }),
  },
)
export type TimeAction = typeof aTimeAction extends fc.Arbitrary<infer T> ? T : never
export const aTimeHistory = fc.array(aTimeAction, { minLength: 3, maxLength: 25, size: 'max' })

export async function playTime(history: readonly TimeAction[]): Promise<void> {
  const run = await TimeRun.start()
  try {
    for (const [step, action] of history.entries()) await run.step(step, action)
  } finally {
    await run.close()
  }
}

class TimeRun {
  readonly #world: AccessWorld
  readonly #control: LocalControlPlane
  readonly #model: TimeModel
  readonly #ids: string[] = []
  readonly #sessions: string[] = []
  /** What was compared last: the same needs no second look */
  #compared = ''

  private constructor(world: AccessWorld, control: LocalControlPlane) {
    this.#world = world
    this.#control = control
    this.#model = new TimeModel(world.clock.now())
  }

  static async start(): Promise<TimeRun> {
    const world = await ReusedStore.get().world('times', furnish)
    const snapshot = await Snapshot.load(world.database.reads)
    const control = controlOver(world, snapshot)
    world.deeds.onCommitted(async (committed) => {
      await snapshot.apply(committed)
      control.live.recheckAll()
    })
    return new TimeRun(world, control)
  }

  close(): Promise<void> {
    return this.#world.stop()
  }

  async step(step: number, action: TimeAction): Promise<void> {
    const answers = await this.#play(action)
    const where = `step ${step} ${JSON.stringify(action)}`
    if (answers) same(`${where}: answer`, answers[1], answers[0])
    same(
      `${where}: sessions`,
      this.#openSessions(),
      this.#model.sessions.map(({ isOpen }) => isOpen),
    )
    const modelled = this.#ids.map((_id, index) => this.#expected(index))
    // Of the same store at the same instant, the product shows the same.
    const state = JSON.stringify([ReusedStore.get().head(), this.#world.clock.now(), modelled])
    if (state === this.#compared) return
    for (const [index, id] of this.#ids.entries())
      same(`${where}: request ${index}`, await this.#shown(id), modelled[index])
    this.#compared = state
  }

  /** [what the model says, what the product says] */
  async #play(action: TimeAction): Promise<[string, string] | null> {
    const model = this.#model
    const at = 'which' in action ? action.which % Math.max(1, this.#ids.length) : 0
    const request = model.requests[at]
    const id = this.#ids[at]
    switch (action.do) {
      case 'ask': {
        const instant = this.#world.clock.now() + action.ahead
        const start: Start = action.start === 'instant' ? { at: 'instant', instant } : { at: action.start }
        const modelStart: ModelStart = action.start === 'instant' ? { instant } : action.start
        const said = model.ask(modelStart, action.length)
        // A reason of its own: nothing is asked for twice.
        const more = { start, duration: action.length, reason: `reason ${this.#ids.length}` }
        const found = await code(() =>
          this.#world.ask('alice', ['dba'], more).then(({ id: made }) => this.#ids.push(made)),
        )
        return [said, found]
      }
      case 'approve': {
        // Votes again after the decision are the matter of the other model.
        if (!request || id === undefined || request.state === 'approved') return null
        const startAt = action.later === null ? null : this.#world.clock.now() + action.later
        const said = model.approve(request, action.shorter, startAt)
        const more = { ...(action.shorter ? { duration: action.shorter } : {}), ...(startAt ? { startAt } : {}) }
        return [said, await code(() => this.#world.approve('bob', id, more))]
      }
      case 'extend': {
        if (!request || id === undefined || request.extends) return null
        const before = model.requests.length
        const said = model.extend(request, action.length)
        const asked = { durationMs: action.length, reason: '', pendingForMs: null, reviewers: [] }
        const found = await code(async () => {
          const made = await this.#world.requests.extend(callerNamed('alice'), id, asked)
          if (!this.#ids.includes(made.id)) this.#ids.push(made.id)
        })
        same('requests made', this.#ids.length, before + (model.requests.length - before))
        return [said, found]
      }
      case 'connect':
        return [String(model.connect()), String(await this.#connect())]
      case 'returned':
      case 'revoked': {
        if (!request || id === undefined) return null
        const said = model.takeBack(request, action.do)
        const { requests } = this.#world
        const by =
          action.do === 'returned'
            ? requests.return(callerNamed('alice'), id)
            : requests.revoke(callerNamed('bob'), id, '')
        return [said, await code(() => by)]
      }
      case 'disable':
      case 'enable':
        // What is given in the very millisecond of a disabling counts as given before it.
        model.pass(1)
        this.#world.clock.advance(1)
        this.#control.live.recheckAll()
        model.setDisabled(action.do === 'disable')
        await this.#world.user('alice', { roles: ['dev'], disabled: action.do === 'disable' })
        model.sweep()
        return null
      case 'sweep':
        model.sweep()
        await this.#world.sweeper.sweep()
        return null
      case 'pass':
        model.pass(action.ms)
        this.#world.clock.advance(action.ms)
        // A timer comes a millisecond after the end that it is for.
        this.#control.live.recheckAll()
        return null
    }
  }

  async #connect(): Promise<boolean> {
    const answer = await this.#control.authorize({
      protocol: 'ssh',
      loginSessionId: 'lgn_alice',
      userId: 'usr_alice',
      keyFingerprint: 'SHA256:alice',
      certificateSerial: '7',
      node: 'db-box',
      login: null,
      address: '127.0.0.1',
      proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
    })
    if (!answer.ok) return false
    const { sessionId } = answer.facts
    const use = await this.#control.startUse(sessionId)
    if (use.ok) this.#sessions.push(sessionId)
    return use.ok
  }

  #openSessions(): boolean[] {
    return this.#sessions.map((id) => this.#control.live.get(id)?.endText === null)
  }

  async #shown(id: string): Promise<unknown> {
    const { state, kind, grant } = await this.#world.show(id)
    if (kind === 'extension' || !grant) return { state }
    const starts = grant.state === 'scheduled' && grant.useBy !== null ? null : grant.endsAt
    return { state, grant: [grant.state, grant.endReason], endsAt: grant.state === 'ended' ? null : starts }
  }

  #expected(index: number): unknown {
    const request = this.#model.requests[index]
    if (!request) throw new Error('a request that the model does not know')
    const state = this.#model.stateOf(request)
    if (!request.grant) return { state }
    const grant = this.#model.shown(request.grant)
    return { state, grant, endsAt: grant[0] === 'ended' ? null : request.grant.endsAt }
  }
}

async function code(deed: () => Promise<unknown>): Promise<string> {
  try {
    await deed()
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

function same(what: string, product: unknown, model: unknown): void {
  const [found, expected] = [JSON.stringify(product), JSON.stringify(model)]
  if (found !== expected) throw new Error(`${what}\nproduct: ${found}\nmodel:   ${expected}`)
}

async function furnish(world: AccessWorld): Promise<void> {
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await world.role('dev', { allow: { request: { roles: ['dba'], max_duration: '4h' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await signedInWithNode(world)
}

async function signedInWithNode(world: AccessWorld): Promise<void> {
  await world.deeds.commitDeed(async (tx, now) => {
    const login = { id: 'lgn_alice', event_id: '', user_id: 'usr_alice', token_hash: 'x', device: 'laptop' }
    await tx
      .insertInto('login_sessions')
      .values({
        ...login,
        factors_json: '["password"]',
        second_factor_at: now,
        key_fingerprint: 'SHA256:alice',
        address: '127.0.0.1',
        created_at: now,
        expires_at: now + 1000 * DAY,
        ended_at: null,
        end_reason: null,
      })
      .execute()
    const node = { id: 'nod_db', event_id: '', name: 'db-box', address: '127.0.0.1:22', labels_json: '{"env":"prod"}' }
    await tx
      .insertInto('nodes')
      .values({
        ...node,
        host_key: 'ssh-ed25519 AAAA',
        host_authority: null,
        host_principal: null,
        created_at: now,
        deleted_at: null,
      })
      .execute()
    const rows = [
      { table: 'login_sessions', id: 'lgn_alice' },
      { table: 'nodes', id: 'nod_db' },
    ] as const
    const actor = { kind: 'system', id: null, name: 'test' } as const
    return { result: null, events: [{ type: 'resource.create', actor, outcome: 'success', rows }] }
  })
}

const controlOver = (world: AccessWorld, snapshot: Snapshot): LocalControlPlane =>
  new LocalControlPlane({
    deeds: world.deeds,
    snapshot,
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
      databaseCertificate: () => Promise.resolve(new Uint8Array([2])),
      databasePassword: () => Promise.resolve('secret'),
    },
    reportAuthFailure: () => {},
    recordingsDir: '/var/lib/sallyport/recordings',
    offlineGraceMs: 60_000,
    instanceId: null,
    catchUp: async () => {},
    checkSignIn: () => null,
    checkRow: () => Promise.resolve(null),
    clock: world.clock,
    log: silentLog,
  })
