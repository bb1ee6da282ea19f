import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rowShelf } from '../../test/support/row-shelf.ts'
import { RoleDocument } from '../contract/role.ts'
import type { PowerTable, Tables } from '../foundation/database/tables.ts'
import { Snapshot } from '../grants/snapshot.ts'
import { decideAccess, type AccessDecision, type AccessQuestion } from './decide-access.ts'

// What is remembered from one decision to the next is never another answer than the one that would be worked out now.

const START = 1_000_000
const USERS = ['ada', 'bob']
const NODES = ['db-box', 'web-box']
const ROLES = ['dba', 'ops', 'asker']
/** Milliseconds from now */
const NEAR = [-5, 0, 1, 5, 50, 5000]
const TICKS = [-20, -3, -1, 1, 2, 3, 5, 10, 20, 60]
const LABELS = [{ env: 'prod' }, { env: 'dev' }, { env: 'prod', team: 'x' }]
const SPECS: readonly object[] = [
  {},
  { allow: { logins: ['root'], node_labels: { env: 'prod' } } },
  { allow: { logins: ['root', 'app'], node_labels: { '*': '*' } }, options: { max_session_ttl: '10m' } },
  { allow: { logins: ['app', 'root'], node_labels: { '*': '*' } }, options: { bind: 'login' } },
  { allow: { request: { roles: ['*'] } } },
  { allow: { request: { roles: ['dba'], search_as_roles: ['o*'], break_glass: { roles: ['ops'] } } } },
  { allow: { request: { roles: ['*'] } }, deny: { logins: ['root'], request: { roles: ['ops'] } } },
  { deny: { node_labels: { team: 'x' } } },
]
const specs = SPECS.map((spec) => RoleDocument.parse({ kind: 'role', metadata: { name: 'x' }, spec }).spec)

/** What a step does, as often as it stands here. */
const KINDS = [
  ...['user', 'role', 'role', 'node', 'login', 'login', 'grant', 'grant', 'grant', 'grant', 'lock', 'lock', 'lock'],
  ...['end grant', 'end login', 'lock in memory', 'forget', 'clock', 'clock', 'clock', 'clock'],
]

/** Dice of a step: which thing, and how it is to be. */
type Dice = readonly [kind: number, a: number, b: number, c: number, d: number, e: number]

class World {
  readonly #shelf = rowShelf()
  #position = 0
  #revision = 1
  now = START
  readonly view: Promise<Snapshot>

  constructor() {
    for (const [at, role] of ROLES.entries()) this.#role(role, [1, 3, 4][at] ?? 0, false)
    for (const user of USERS) this.#user(user, ['asker'], {})
    for (const user of USERS) this.#login(user, {})
    for (const node of NODES) this.#node(node, 0, null)
    this.view = Snapshot.load(this.#shelf.reads)
  }

  /** Changes something, or moves the clock; while rows are being read again, `between` is called. */
  async step([kind, a, b, c, d, e]: Dice, between: () => void): Promise<void> {
    const view = await this.view
    const user = USERS[a % 2] ?? ''
    const role = ROLES[b % 3] ?? ''
    const near = this.now + (NEAR[c % NEAR.length] ?? 0)
    const rows = ((): readonly { table: PowerTable; id: string }[] => {
      switch (KINDS[kind]) {
        case 'user':
          return this.#user(user, [role, ...(c % 2 ? ['asker'] : [])], {
            disabled: d % 9 === 0 ? 1 : 0,
            disabled_at: e % 5 === 0 ? near : null,
            deleted_at: e % 11 === 0 ? this.now : null,
          })
        case 'role':
          return this.#role(role, role === 'asker' && e % 4 > 0 ? 4 + (c % 3) : c, d % 9 === 0)
        case 'node':
          return this.#node(NODES[a % 2] ?? '', c, d % 9 === 0 ? this.now : null)
        case 'login':
          return this.#login(user, {
            ended_at: c % 9 === 0 ? this.now : null,
            created_at: near,
            second_factor_at: d % 2 ? near : null,
          })
        case 'grant':
          return this.#grant(USERS[c % 2] ?? '', role, [c, d, e], near)
        case 'lock':
          return this.#lock(a, b, near, d % 3 === 0, e % 3 === 0)
        default:
          this.#inMemory(view, kind, [a, b, c], near)
          return []
      }
    })()
    if (rows.length === 0) return
    const applied = view.apply({ position: ++this.#position, rows })
    for (let turn = 0; turn < c % 7; turn++) {
      await Promise.resolve()
      between()
    }
    await applied
  }

  #inMemory(view: Snapshot, kind: number, [a, b, c]: readonly [number, number, number], near: number): void {
    const end = { reason: 'revoked', by: 'bob', comment: '' }
    if (KINDS[kind] === 'end grant') view.takeAway({ kind: 'grant', id: `grt_${c % 4}`, ...end }, this.now)
    else if (KINDS[kind] === 'end login') view.takeAway({ kind: 'login', id: `lgn_${USERS[a % 2]}` }, this.now)
    else if (KINDS[kind] === 'lock in memory')
      view.takeAway({ kind: 'lock', lock: lockOn(a, b, near, b % 2 === 0) }, this.now)
    else if (KINDS[kind] === 'forget') view.forgetEnded(near)
    else this.now += TICKS[a % TICKS.length] ?? 0
  }

  #put<T extends PowerTable>(table: T, row: Tables[T]): { table: PowerTable; id: string }[] {
    this.#shelf.put(table, row)
    return [{ table, id: row.id }]
  }

  #user(name: string, roles: readonly string[], changes: Partial<Tables['users']>) {
    return this.#put('users', {
      ...{ id: `usr_${name}`, event_id: '', name, email: null, traits_json: '{}', password_hash: null, disabled: 0 },
      ...{ role_ids_json: JSON.stringify(roles.map((role) => `rol_${role}`)), deleted_at: null, created_at: 0 },
      ...{ votes_count_from: null, disabled_at: null, service_owner_id: null, ...changes },
    })
  }

  #role(name: string, spec: number, deleted: boolean) {
    const [id, revision] = [`rol_${name}`, this.#revision++]
    const content = { event_id: '', revision, content_hash: String(spec), description: null }
    const spec_json = JSON.stringify(specs[spec % specs.length])
    const row = this.#put('roles', { ...content, id, name, deleted_at: deleted ? this.now : null })
    if (deleted) return row
    return [
      ...row,
      ...this.#put('role_revisions', { ...content, id: `${id}/${revision}`, role_id: id, spec_json, created_at: 0 }),
    ].reverse()
  }

  #node(name: string, labels: number, deleted_at: number | null) {
    return this.#put('nodes', {
      ...{ id: `nod_${name}`, event_id: '', name, address: '127.0.0.1:22', host_key: 'k', host_authority: null },
      ...{ labels_json: JSON.stringify(LABELS[labels % 3]), host_principal: null, created_at: 0, deleted_at },
    })
  }

  #login(user: string, changes: Partial<Tables['login_sessions']>) {
    return this.#put('login_sessions', {
      ...{ id: `lgn_${user}`, event_id: '', user_id: `usr_${user}`, token_hash: '', device: '', factors_json: '[]' },
      ...{
        second_factor_at: null,
        key_fingerprint: 'k',
        x509_fingerprint: null,
        address: '',
        created_at: 0,
        expires_at: START + 1e6,
      },
      ...{ ended_at: null, end_reason: null, ...changes },
    })
  }

  #grant(user: string, role: string, [c, d, e]: readonly [number, number, number], near: number) {
    const identity = JSON.stringify(['k', null, null])
    const pins = [{ kind: 'node', id: 'nod_db-box', name: 'db-box', labels: LABELS[e % 3], identity }]
    const isPinned = e % 3 === 0
    const waits = d % 4 === 0
    const roles = [role, ...(e % 5 === 0 ? ['ops'] : [])]
    const revision = Math.max(1, this.#revision - 1 - (d % 3))
    return this.#put('grants', {
      ...{ id: `grt_${c % 4}`, event_id: '', request_id: `req_${c % 4}`, user_id: `usr_${user}` },
      kind: isPinned ? 'resource' : e % 7 === 0 ? 'break_glass' : 'role',
      roles_json: JSON.stringify(roles.map((name) => ({ id: `rol_${name}`, name, revision, contentHash: '' }))),
      state: waits || d % 3 === 1 ? 'scheduled' : d % 7 === 3 ? 'ended' : 'active',
      ...{ starts_at: near - 3, ends_at: near + 20, ended_at: d % 7 === 3 ? near : null, end_reason: null },
      ...{ ended_by: null, end_comment: null, login_id: e % 2 ? `lgn_${user}` : null, suspended: null },
      resources_json: isPinned ? JSON.stringify(pins) : null,
      narrowing_json: e % 4 === 0 ? '{"login":"app"}' : null,
      ...{ use_by: waits ? near + 10 : null, use_length_ms: waits ? 30 : null, approved_at: near - 5, moved_at: null },
    })
  }

  #lock(a: number, b: number, near: number, expires: boolean, removed: boolean) {
    return this.#put('locks', {
      ...lockOn(a, b, near, expires),
      event_id: '',
      removed_at: removed ? this.now : null,
    })
  }
}

const TARGETS = [
  ['user', 'usr_ada'],
  ['role', 'rol_dba'],
  ['role', 'rol_asker'],
  ['request', 'req_1'],
  ['login', 'lgn_bob'],
  ['node', 'nod_db-box'],
] as const

function lockOn(a: number, b: number, at: number, expires: boolean) {
  const [target_kind, target_id] = TARGETS[(a + b) % TARGETS.length] ?? TARGETS[0]
  const about = { target_kind, target_id, target_name: '', message: `m${b % 2}`, created_by: '' }
  return { ...about, id: `lck_${(a * 2 + b) % 5}`, created_at: 0, expires_at: expires ? at : null, removed_at: null }
}

const question = (which: number): AccessQuestion => {
  const user = USERS[which % 2] ?? ''
  const live = { startedAt: START, grants: [`grt_${which % 2}`], isUsed: which % 32 < 16 }
  return {
    protocol: 'ssh',
    ...{ userId: `usr_${user}`, loginSessionId: `lgn_${user}`, keyFingerprint: 'k' },
    ...{ node: NODES[(which >> 1) % 2] ?? '', login: which % 16 < 8 ? null : 'root' },
    live: (which >> 2) % 2 ? live : null,
  }
}

/** The same snapshot, by whose moments nothing can be remembered. */
function forgetful(view: Snapshot): Snapshot {
  return new Proxy(view, {
    get(target, name) {
      if (name === 'moment') return () => ({ from: 0, until: 0 })
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const dice = fc.tuple(
  fc.nat(KINDS.length - 1),
  ...([1, 2, 3, 4, 5].map(() => fc.nat(210)) as [
    fc.Arbitrary<number>,
    fc.Arbitrary<number>,
    fc.Arbitrary<number>,
    fc.Arbitrary<number>,
    fc.Arbitrary<number>,
  ]),
)

test('after whatever changes and however the clock moves, what is remembered decides as what is worked out anew', async () => {
  const kinds = new Set<string>()
  const history = fc.array(dice, { minLength: 50, maxLength: 50, size: 'max' })
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const world = new World()
      const view = await world.view
      const anew = forgetful(view)
      const same = (which: number): void => {
        const asked = question(which)
        const remembered: AccessDecision = decideAccess(view, asked, world.now)
        kinds.add(remembered.ok ? 'ok' : remembered.ended)
        const fresh = decideAccess(anew, asked, world.now)
        if (!isDeepStrictEqual(remembered, fresh)) expect(remembered).toEqual(fresh)
      }
      for (const step of steps) {
        await world.step(step, () => same(step[1] + step[5]))
        for (const which of step.slice(1, 4)) same(which)
      }
    }),
    { numRuns: 40 },
  )
  expect(kinds.size).toBeGreaterThan(15)
})
