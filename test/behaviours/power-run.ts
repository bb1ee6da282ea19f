import fc from 'fast-check'
import { putInForce } from '../../src/access/automate/policies-in-force.ts'
import type { PolicyAsker } from '../../src/access/automate/judge.ts'
import type { Judgement } from '../../src/access/automate/automation.ts'
import { putReviewRule, removeReviewRule } from '../../src/access/automate/review-rules.ts'
import type { AutomationFacts } from '../../src/contract/policy.ts'
import { ReviewRuleDocument } from '../../src/contract/review-rule.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { rolesAtWork } from '../../src/grants/working-roles.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { nodeAccess } from '../../src/identity/node-access.ts'
import { callerNamed, type AccessWorld } from '../support/access-world.ts'
import { ReusedStore } from '../support/reused-store.ts'
import {
  CONTENTS,
  DAY,
  HOUR,
  LIMIT,
  MINUTE,
  NODES,
  POLICIES,
  PowerModel,
  REACH,
  REVIEWERS,
  RULES,
  type NodeName,
  type RoleName,
  type Says,
} from './power-model.ts'

// Plays one history of asking for resources, of rules and policies, of emergencies and of edits on product and model, and compares
// after each step what is decided, and what ada could sign in as on each node.

const who = fc.constantFrom<string>('ada', ...REVIEWERS, ...REVIEWERS)
const aRole = fc.constantFrom<RoleName>('p', 'q')
const aNode = fc.constantFrom<NodeName>(...NODES)
const word = fc.constantFrom('plain', 'plain', 'good', 'bad')
const duration = fc.constantFrom(null, 30 * MINUTE, 2 * HOUR, 5 * HOUR)
const which = fc.oneof({ weight: 2, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(5) })
const approve = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
const anAsk = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('role'), role: aRole, word, duration }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('nodes'),
      nodes: fc.shuffledSubarray<NodeName>([...NODES], { minLength: 1, maxLength: 2 }),
      login: fc.constantFrom(null, null, 'deploy', 'deploy', 'admin'),
      named: fc.constantFrom<readonly RoleName[]>([], [], [], ['p'], ['q'], ['p', 'q']),
      word,
      duration,
    }),
  },
)
const aTaking = fc.record({
  do: fc.constant('take'),
  role: aRole,
  duration: fc.constantFrom(null, 30 * MINUTE, 2 * HOUR),
})
const aLook = fc.record({ do: fc.constant('look'), who, which })
const aVote = fc.record({
  do: fc.constant('vote'),
  who,
  which,
  approve,
  stale: fc.nat(7).map((n) => n === 0),
})
const someRule = fc.nat(RULES.length - 1)
const aRule = fc.record({
  do: fc.constant('rule'),
  slot: fc.constantFrom('s1', 's2'),
  rule: fc.option(someRule, { freq: 4 }),
})
const aPolicy = fc.record({ do: fc.constant('policy'), policy: fc.option(fc.nat(POLICIES.length - 1), { freq: 3 }) })
const aContent = fc.record({ do: fc.constant('content'), role: aRole, content: fc.nat(2) })
const aReach = fc.record({ do: fc.constant('reach'), reach: fc.nat(REACH.length - 1) })
const aLock = fc.record({
  do: fc.constantFrom('lock', 'unlock'),
  what: fc.constantFrom('p', 'q', 'a', 'b', 'c', 'ada'),
})
const aMove = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('label'),
      node: aNode,
      env: fc.constantFrom('prod', 'prod', 'dev', 'other'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('rekey', 'remake'), node: aNode }) },
  { weight: 1, arbitrary: aContent },
)
const anEdit = fc.oneof(
  { weight: 4, arbitrary: aRule },
  { weight: 2, arbitrary: aPolicy },
  { weight: 5, arbitrary: aMove },
  { weight: 2, arbitrary: aReach },
  { weight: 2, arbitrary: aLock },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lock-request'), which }) },
)
export const aPowerAction = fc.oneof(
  { weight: 5, arbitrary: anAsk },
  { weight: 8, arbitrary: aVote },
  { weight: 2, arbitrary: aTaking },
  { weight: 2, arbitrary: aLook },
  { weight: 7, arbitrary: anEdit },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('returned', 'revoked'), who, which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.constantFrom(MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep') }) },
)
export type PowerAction = typeof aPowerAction extends fc.Arbitrary<infer T> ? T : never
const voteBy = (name: string): PowerAction => ({ do: 'vote', who: name, which: -1, approve: true, stale: false })
const manyVoters = fc.shuffledSubarray([...REVIEWERS], { minLength: 2 })
/** Nodes are asked for and given, and then the ground moves. */
const aMoving = fc
  .tuple(
    fc.array(fc.oneof(fc.constant<PowerAction>({ do: 'content', role: 'q', content: 1 }), aContent, aReach, aLock), {
      maxLength: 2,
    }),
    anAsk,
    manyVoters,
    fc.array(aMove, { minLength: 1, maxLength: 3 }),
  )
  .map(([before, asked, voters, after]): PowerAction[] => [...before, asked, ...voters.map(voteBy), ...after])
/** Two rules, perhaps a policy, and somebody who asks, and asks again when they have changed. */
const aJudging = fc
  .tuple(
    fc.oneof(
      fc.constantFrom([2, 5] as const, [1, 6] as const, [0, 2] as const, [8, 2] as const),
      fc.tuple(someRule, someRule),
    ),
    fc.array(aPolicy, { maxLength: 1 }),
    fc.array(
      fc.tuple(
        fc.oneof(
          anAsk,
          anAsk.map((ask) => ({ ...ask, word: 'good' as const })),
        ),
        manyVoters,
      ),
      { minLength: 1, maxLength: 2 },
    ),
    aRule,
    aVote,
  )
  .map(([[one, other], policy, asks, change, vote]): PowerAction[] => [
    { do: 'rule', slot: 's1', rule: one },
    { do: 'rule', slot: 's2', rule: other },
    ...policy,
    ...asks.flatMap(([asked, voters], index) => [asked, ...voters.slice(index).map(voteBy)]),
    change,
    vote,
  ])
/** Something is taken, looked at, and taken again. */
const anEmergency = fc
  .tuple(fc.array(anEdit, { maxLength: 1 }), aTaking, fc.shuffledSubarray([...REVIEWERS]), fc.boolean(), aTaking)
  .map(([before, taken, lookers, isGiven, again]): PowerAction[] => [
    ...before,
    taken,
    ...(isGiven ? [{ do: 'returned' as const, who: 'ada', which: -1 }] : []),
    ...lookers.flatMap((name): PowerAction[] => [
      { do: 'look', who: name, which: -1 },
      { do: 'look', who: name, which: -1 },
    ]),
    again,
  ])
export const aPowerHistory = fc
  .tuple(fc.oneof(aMoving, aJudging, anEmergency), fc.array(aPowerAction, { maxLength: 8, size: 'max' }))
  .map(([story, rest]) => [...story, ...rest])

/** Throws with a description of the first difference. */
export async function playPower(history: readonly PowerAction[]): Promise<void> {
  const run = new PowerRun(await ReusedStore.get().world('power', furnish))
  try {
    for (const [step, action] of history.entries()) await run.step(step, action)
  } finally {
    await run.close()
  }
}

class PowerRun {
  readonly #world: AccessWorld
  readonly #model: PowerModel
  readonly #ids: string[] = []
  readonly #prints: { requestDigest: string; factsDigest: string }[] = []
  readonly #locks = new Map<string, string>()
  #made = 0
  /** What was compared last: the same needs no second look */
  #compared = ''

  constructor(world: AccessWorld) {
    this.#world = world
    this.#model = new PowerModel(world.clock.now())
    world.asker = asker
  }

  close(): Promise<void> {
    return this.#world.stop()
  }

  async step(step: number, action: PowerAction): Promise<void> {
    const where = `step ${step} ${JSON.stringify(action)}`
    const [expected, found] = await this.#play(action)
    same(`${where}: answer`, found, expected)
    same(`${where}: requests made`, this.#ids.length, this.#model.asks.length)
    const modelled = this.#ids.map((_id, index) => this.#modelled(index))
    const open = this.#model.open()
    const state = JSON.stringify([ReusedStore.get().head(), this.#world.clock.now(), modelled, open])
    if (state === this.#compared) return
    for (const [index, id] of this.#ids.entries())
      same(`${where}: request ${index}`, await this.#shown(id), modelled[index])
    same(`${where}: what is open`, await this.#open(), open)
    this.#compared = state
  }

  /** What the model says, and what the product does. */
  async #play(action: PowerAction): Promise<[string, string]> {
    const { requests } = this.#world
    const model = this.#model
    const at = 'which' in action ? placeOf(action.which, this.#ids.length) : 0
    const id = this.#ids[at]
    const ask = model.asks[at]
    switch (action.do) {
      case 'role':
      case 'nodes':
        return this.#ask(action)
      case 'take': {
        const expected = model.take(action.role, action.duration)
        const taking = { roles: [action.role], reason: 'down', durationMs: action.duration, confirm: action.role }
        return [expected, await this.#making(requests.breakGlass(callerNamed('ada'), taking))]
      }
      case 'vote': {
        if (id === undefined || !ask) return NOTHING
        const expected = model.vote(action.who, ask, action.approve, action.stale)
        return [expected, await answerOf(this.#vote(action, id, this.#prints[at]))]
      }
      case 'look': {
        if (id === undefined || !ask) return NOTHING
        const expected = model.look(action.who, ask)
        return [expected, await answerOf(requests.acknowledge(callerNamed(action.who), id, '', async () => null))]
      }
      case 'returned':
      case 'revoked': {
        if (id === undefined || !ask) return NOTHING
        const expected = model.takeBack(action.do, action.who, ask)
        const by = callerNamed(action.who)
        return [
          expected,
          await answerOf(action.do === 'returned' ? requests.return(by, id) : requests.revoke(by, id, '')),
        ]
      }
      case 'pass':
        this.#world.clock.jumpTo(this.#world.clock.now() + action.ms)
        model.now = this.#world.clock.now()
        return NOTHING
      case 'sweep':
        model.sweep()
        await this.#world.sweeper.sweep()
        return NOTHING
      case 'lock-request':
        if (id === undefined || !ask || ask.locked) return NOTHING
        await this.#world.lock('request', id)
        model.edit(() => void (ask.locked = true))
        return NOTHING
      default:
        await this.#edit(action)
        return NOTHING
    }
  }

  async #ask(action: Extract<PowerAction, { do: 'role' | 'nodes' }>): Promise<[string, string]> {
    const more = { reason: `${action.word} ${this.#made++}`, ...(action.duration ? { duration: action.duration } : {}) }
    if (action.do === 'role') {
      const expected = this.#model.askRole(action.role, action.word, action.duration)
      return [expected, await this.#making(this.#world.ask('ada', [action.role], more))]
    }
    const { nodes, login, named } = action
    const expected = this.#model.askNodes(nodes, login, named, action.word, action.duration)
    const resources = nodes.map((name) => `node/${name}`)
    const asked = { ...more, resources, ...(login === null ? {} : { login }) }
    return [expected, await this.#making(this.#world.ask('ada', named, asked))]
  }

  #making(deed: Promise<{ id: string; requestDigest: string; factsDigest: string }>): Promise<string> {
    return answerOf(
      deed.then((made) => {
        this.#ids.push(made.id)
        this.#prints.push(made)
      }),
    )
  }

  async #vote(
    action: Extract<PowerAction, { do: 'vote' }>,
    id: string,
    first: { requestDigest: string; factsDigest: string } | undefined,
  ): Promise<void> {
    const seen = await this.#world.show(id)
    const { requestDigest, factsDigest } = action.stale && first ? first : seen
    const ballot = {
      decision: action.approve ? ('approve' as const) : ('deny' as const),
      // No vote is the same as one before: that is the matter of another model.
      reason: `vote ${this.#made++}`,
      durationMs: null,
      startAt: null,
      shown: { durationMs: seen.grantedDuration, startAt: seen.grantedStart },
      ...{ requestDigest, factsDigest },
    }
    await this.#world.requests.review(callerNamed(action.who), id, ballot, async () => null)
  }

  async #edit(
    action: Extract<
      PowerAction,
      { do: 'rule' | 'policy' | 'label' | 'rekey' | 'remake' | 'content' | 'reach' | 'lock' | 'unlock' }
    >,
  ): Promise<void> {
    const model = this.#model
    const world = this.#world
    switch (action.do) {
      case 'rule':
        await this.#rule(action.slot, action.rule)
        return
      case 'policy': {
        const policy = action.policy === null ? [] : [policyFile(action.policy)]
        await putInForce(world.deeds, SYSTEM, policy)
        model.policy = action.policy
        return
      }
      case 'label':
      case 'rekey':
      case 'remake':
        await this.#node(action)
        return
      case 'content': {
        const content = action.content % CONTENTS[action.role].length
        await world.role(action.role, specOf(action.role, content))
        model.edit(() => void (model.contents[action.role] = content))
        return
      }
      case 'reach':
        await world.role('ask', reachOf(action.reach))
        model.edit(() => void (model.reach = action.reach))
        return
      default:
        await this.#lock(action.what, action.do === 'lock')
    }
  }

  async #rule(slot: string, rule: number | null): Promise<void> {
    const content = RULES[rule ?? -1]
    if (content) await putReviewRule(this.#world, SYSTEM, ruleNamed(slot, content), true)
    else if (this.#model.rules.has(slot)) await removeReviewRule(this.#world, SYSTEM, slot)
    this.#model.setRule(slot, rule)
  }

  async #node(action: Extract<PowerAction, { do: 'label' | 'rekey' | 'remake' }>): Promise<void> {
    const { [action.node]: before } = this.#model.nodes
    const change =
      action.do === 'label' ? { env: action.env } : action.do === 'rekey' ? { key: `k${this.#made++}` } : {}
    const after = { ...before, ...change, ...(action.do === 'remake' ? { id: `nod_${this.#made++}` } : {}) }
    if (after.id !== before.id) {
      await this.#world.removeNode(before.id)
      // Whatever was confined to it is over before there is another one of its name.
      this.#model.edit(() => void (this.#model.nodes[action.node] = { ...before, id: '' }))
    }
    await this.#world.node(action.node, { env: after.env }, { id: after.id, hostKey: after.key })
    this.#model.edit(() => void (this.#model.nodes[action.node] = after))
  }

  async #lock(what: string, locked: boolean): Promise<void> {
    const model = this.#model
    const node = NODES.find((name) => name === what)
    const role = what === 'p' || what === 'q' ? what : null
    const key = node ? model.nodes[node].id : what
    const known = this.#locks.get(key)
    if (locked === (known !== undefined)) return
    if (known !== undefined) await this.#world.unlock(known)
    else if (node) this.#locks.set(key, await this.#world.lock('node', key))
    else this.#locks.set(key, await this.#world.lock(role ? 'role' : 'user', role ? `rol_${role}` : 'usr_ada'))
    if (known !== undefined) this.#locks.delete(key)
    model.edit(() => {
      if (node) toggle(model.lockedNodes, key, locked)
      else if (role) toggle(model.lockedRoles, role, locked)
      else model.userLocked = locked
    })
  }

  async #shown(id: string): Promise<unknown> {
    const shown = await this.#world.show(id)
    const [stored] = ReusedStore.get().all('select suspended from grants where request_id = ?', id)
    const { state, grant } = shown
    return {
      state,
      roles: shown.roles,
      resources: shown.resources.map(({ name }) => name).toSorted(),
      duration: shown.duration,
      hindered: state === 'pending' ? shown.resolution !== null : null,
      granted: state === 'pending' ? shown.grantedDuration : null,
      votes: shown.reviews.map(({ reviewer, decision, why }) => [reviewer, decision, why]),
      counts: state === 'pending' ? shown.progress.map(({ approvals, denials }) => [approvals, denials]) : null,
      grant: grant && [grant.state, grant.endReason, grant.endsAt],
      suspended: grant?.state === 'active' && stored ? stored['suspended'] !== null : null,
    }
  }

  #modelled(index: number): unknown {
    const model = this.#model
    const ask = model.asks[index]
    if (!ask) return null
    const { grant } = ask
    const state = ask.state === 'pending' && model.now >= ask.until ? 'expired' : ask.state
    const over = grant && (grant.over ?? (model.now >= grant.endsAt ? 'expired' : null))
    return {
      state,
      roles: ask.roles,
      resources: ask.wants.map(({ name }) => name).toSorted(),
      duration: ask.duration,
      hindered: state === 'pending' ? model.isHindered(ask) : null,
      granted: state === 'pending' ? model.granted(ask) : null,
      votes: ask.votes.map((vote) => [vote.by, vote.approve ? 'approve' : 'deny', model.why(ask, vote)]),
      counts: state === 'pending' ? model.counts(ask) : null,
      grant: grant && [over ? 'ended' : 'active', over, grant.endsAt],
      suspended: grant && !over ? grant.suspended : null,
    }
  }

  async #open(): Promise<string[][]> {
    const view = await Snapshot.load(this.#world.database.reads)
    const ada = view.user('usr_ada')
    if (!ada) return []
    const { roles } = rolesAtWork(view, ada, null, this.#world.clock.now())
    return NODES.map((name) => {
      const node = view.node(this.#model.nodes[name].id)
      return node ? [...nodeAccess(roles, node).logins.keys()].sort() : []
    })
  }
}

const NOTHING: [string, string] = ['ok', 'ok']

const placeOf = (which: number, of: number): number => (which < 0 ? Math.max(0, of - 1) : which % Math.max(1, of))

function toggle<T>(set: Set<T>, one: T, isIn: boolean): void {
  if (isIn) set.add(one)
  else set.delete(one)
}

const answerOf = (deed: Promise<unknown>): Promise<string> =>
  deed.then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  )

function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}\n  product: ${one}\n  model:   ${other}`)
}

async function furnish(world: AccessWorld): Promise<void> {
  for (const role of ['p', 'q'] as const) await world.role(role, specOf(role, 0))
  await world.role('ask', reachOf(0))
  await world.role('review', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('senior')
  await world.user('ada', { roles: ['ask'] })
  for (const name of REVIEWERS) await world.user(name, { roles: ['review', ...(name > 'r2' ? ['senior'] : [])] })
  const { nodes } = new PowerModel(0)
  for (const name of NODES) await world.node(name, { env: nodes[name].env }, { id: nodes[name].id, hostKey: 'k' })
}

function specOf(role: RoleName, content: number): object {
  const { logins, env } = CONTENTS[role][content] ?? { logins: [], env: [] }
  return { allow: { logins: [...logins], node_labels: { env: [...env] } } }
}

function reachOf(reach: number): object {
  const { roles, search, emergency } = REACH[reach] ?? REACH[0]
  const thresholds = [{ approve: 2, deny: 2 }]
  const request = { roles: [...roles], search_as_roles: [...search], thresholds, max_duration: '4h' }
  const taking = emergency.length === 0 ? {} : { break_glass: { roles: [...emergency], max_duration: '1h' } }
  return { allow: { request: { ...request, ...taking } } }
}

/** The list is empty, and so has no first. */
const FAILS = 'requester.traits.team[0] == "x"'

function ruleNamed(name: string, { of, when, does }: Says): ReviewRuleDocument {
  const condition = when === 'fails' ? { condition: FAILS } : { condition: `request.reason.startsWith("${when}")` }
  return ReviewRuleDocument.parse({
    kind: 'review_rule',
    metadata: { name },
    spec: {
      roles: [of === 'all' ? '*' : of],
      reason: 'it says so',
      ...(when === 'always' ? {} : condition),
      ...(does === 'decide' ? { decision: 'approve', decides: true } : { decision: does }),
      ...(does === 'require' ? { require: { group: 'senior' } } : {}),
      ...(does === 'limit' ? { limit: `${LIMIT / MINUTE}m` } : {}),
    },
  })
}

const policyFile = (policy: number) => ({
  file: 'one.ts',
  modulesJson: '{"one.ts":"1"}',
  contentHash: `policy ${policy}`,
  approveOnly: POLICIES[policy]?.approveOnly === true,
  zone: 'UTC',
})

/** A policy is a function of the facts that it is shown; which one, its hash says. */
const asker: PolicyAsker = {
  ask: (question) => {
    const judgements = question.policies.map(({ file, contentHash }): [string, Judgement] => [
      file,
      judgement(Number(contentHash.slice('policy '.length)), question.facts),
    ])
    return Promise.resolve({ question, judgements: new Map(judgements) })
  },
}

function judgement(policy: number, { request }: AutomationFacts): Judgement {
  const { when, does } = POLICIES[policy] ?? { when: 'fails', does: 'deny' }
  if (when === 'fails') return { ok: false, problem: 'it threw' }
  if (when !== 'always' && !request.reason.startsWith(when)) return { ok: true, verdicts: [{ verdict: 'abstain' }] }
  if (does === 'require') return { ok: true, verdicts: [{ verdict: 'require', group: 'senior', approvals: 1 }] }
  if (does === 'limit') return { ok: true, verdicts: [{ verdict: 'limit', duration: `${LIMIT / MINUTE}m` }] }
  return { ok: true, verdicts: [{ verdict: does === 'deny' ? 'deny' : 'approve', reason: '' }] }
}
