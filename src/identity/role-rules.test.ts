import { describe, expect, test } from 'vitest'
import { RoleDocument } from '../contract/role.ts'
import type { ConditionFacts } from './conditions.ts'
import { absentResource } from '../resources/resource.ts'
import { roleProblems } from './role-problems.ts'
import {
  askableRoles,
  capOf,
  isEscalating,
  mayDo,
  mayRequest,
  mayReview,
  requestableRoles,
  rolesThatWouldHelp,
  thresholdSetsOf,
  type AllowingBlock,
  type Person,
  type RoleContent,
} from './role-rules.ts'

const aRole = (name: string, spec: object = {}): RoleContent => ({
  id: `rol_${name}`,
  name,
  revision: 1,
  contentHash: name,
  spec: RoleDocument.parse({ kind: 'role', metadata: { name }, spec }).spec,
})
const aPerson = (roles: RoleContent[], traits: Person['traits'] = {}): Person => ({
  id: 'usr_ada',
  name: 'ada',
  roles,
  traits,
})
const asks = (roles: string[], more: object = {}): object => ({ allow: { request: { roles, ...more } } })
const blocksOf = (person: Person, role: RoleContent): readonly AllowingBlock[] => {
  const answer = mayRequest(person, role)
  return answer.ok ? answer.blocks : []
}

describe('asking', () => {
  test('only what an own role names may be asked for', () => {
    const ada = aPerson([aRole('dev', asks(['dba', 'prod-*', '^x[0-9]$']))])
    for (const name of ['dba', 'prod-db', 'x1']) expect(mayRequest(ada, aRole(name)).ok, name).toBe(true)
    for (const name of ['dbas', 'preprod-db', 'x12'])
      expect(mayRequest(ada, aRole(name)), name).toEqual({ ok: false, why: 'not_allowed' })
  })

  test('deny of any own role wins over allow of any own role', () => {
    const ada = aPerson([aRole('dev', asks(['*'])), aRole('careful', { deny: { request: { roles: ['prod-*'] } } })])
    expect(mayRequest(ada, aRole('prod-db'))).toEqual({ ok: false, why: 'denied' })
    expect(mayRequest(ada, aRole('dba')).ok).toBe(true)
    expect(requestableRoles(ada, [aRole('prod-db'), aRole('dba')]).map((r) => r.name)).toEqual(['dba'])
  })

  test('a trait gives a requestable role through a capture group, as a name and never as a pattern', () => {
    const claims = { claims_to_roles: [{ claim: 'team', value: '^team-(.*)$', roles: ['$1-admin', '${1}'] }] }
    const ada = (team: string): Person => aPerson([aRole('dev', asks([], claims))], { team: [team] })
    expect(mayRequest(ada('team-db'), aRole('db-admin')).ok).toBe(true)
    expect(mayRequest(ada('team-db'), aRole('db')).ok).toBe(true)
    expect(mayRequest(ada('my-team-db'), aRole('db-admin')).ok).toBe(false)
    expect(mayRequest(ada('team-*'), aRole('anything')).ok).toBe(false)
  })

  test('an escalating role needs a block that says so, and * never expands to it', () => {
    const reviewing = aRole('lead', { allow: { review_requests: { roles: ['dba'] } } })
    const writing = aRole('admin', { allow: { rules: [{ resources: ['user'], verbs: ['create'] }] } })
    const reading = aRole('auditor', { allow: { rules: [{ resources: ['user', '*'], verbs: ['list', 'read'] }] } })
    expect([reviewing, writing, reading].map((role) => isEscalating(role.spec))).toEqual([true, true, false])
    const plain = aPerson([aRole('dev', asks(['*']))])
    const bold = aPerson([aRole('dev', asks(['*'], { escalating: true }))])
    expect(mayRequest(plain, writing)).toEqual({ ok: false, why: 'escalating' })
    expect(mayRequest(bold, writing).ok).toBe(true)
    expect(requestableRoles(bold, [reviewing, writing, reading]).map((r) => r.name)).toEqual(['auditor'])
  })

  test('a role held already is not offered', () => {
    const dev = aRole('dev', asks(['*']))
    expect(requestableRoles(aPerson([dev]), [dev, aRole('dba')]).map((r) => r.name)).toEqual(['dba'])
  })

  test('search_as_roles allows no role request, yet its block speaks about the role', () => {
    const ada = aPerson([aRole('search', { allow: { request: { search_as_roles: ['dba'], max_duration: '12h' } } })])
    expect(mayRequest(ada, aRole('dba')).ok).toBe(false)
    const both = aPerson([...ada.roles, aRole('dev', asks(['dba'], { max_duration: '1h' }))])
    expect(blocksOf(both, aRole('dba')).map((b) => b.source)).toEqual(['search', 'dev'])
  })
})

describe('caps and thresholds', () => {
  const role = aRole('dba')
  test('the most generous block caps, whatever the order, and none means 8 hours', () => {
    const short = aRole('short', asks(['dba'], { max_duration: '1h' }))
    const long = aRole('long', asks(['dba'], { max_duration: '4h' }))
    const silent = aRole('silent', asks(['dba']))
    expect(capOf(blocksOf(aPerson([short, long, silent]), role))).toEqual({ ms: 14_400_000, setBy: 'long' })
    expect(capOf(blocksOf(aPerson([silent, long, short]), role))).toEqual({ ms: 14_400_000, setBy: 'long' })
    expect(capOf(blocksOf(aPerson([silent]), role))).toEqual({ ms: 28_800_000, setBy: null })
  })

  test('every block that names the role contributes its set; blocks about other roles contribute nothing', () => {
    const two = aRole('two', asks(['dba'], { thresholds: [{ approve: 2 }] }))
    const other = aRole('other', asks(['web'], { thresholds: [{ approve: 9 }] }))
    const plain = aRole('plain', asks(['db*']))
    const sets = thresholdSetsOf(blocksOf(aPerson([two, other, plain]), role))
    expect(sets.map((set) => [set.source, set.thresholds.map((t) => [t.approve, t.deny])])).toEqual([
      ['two', [[2, 0]]],
      ['plain', [[1, 1]]],
    ])
  })
})

describe('reviewing', () => {
  const request: ConditionFacts['request'] = {
    user: 'bob',
    roles: ['dba'],
    resources: [],
    reason: '',
    durationMs: 3_600_000,
    annotations: {},
    createdAt: 0,
    kind: 'role',
    start: 'approval',
  }
  const may = (...roles: RoleContent[]): boolean => mayReview(aPerson(roles), 'dba', 'usr_bob', request).may
  const reviews = (name: string, block: object): RoleContent => aRole(name, { allow: { review_requests: block } })
  const denies = (block: object): RoleContent => aRole('deny', { deny: { review_requests: block } })

  test('an own role that names the requested role gives the right, and a deny takes it', () => {
    expect(may()).toBe(false)
    expect(may(reviews('lead', { roles: ['db*'] }))).toBe(true)
    expect(may(reviews('lead', { roles: ['web'] }))).toBe(false)
    expect(may(reviews('lead', { roles: ['*'] }), denies({ roles: ['dba'] }))).toBe(false)
  })

  test('where conditions narrow both sides', () => {
    const long = 'request.duration > duration("2h")'
    expect(may(reviews('lead', { roles: ['*'], where: long }))).toBe(false)
    expect(may(reviews('lead', { roles: ['*'] }), denies({ roles: ['*'], where: long }))).toBe(true)
    expect(may(reviews('lead', { roles: ['*'] }), denies({ roles: ['*'], where: 'request.reason == ""' }))).toBe(false)
  })

  test('a condition that fails gives nothing and takes everything, and is reported', () => {
    const broken = '1 / size(request.resources) == 1'
    expect(may(reviews('lead', { roles: ['*'], where: broken }))).toBe(false)
    expect(may(reviews('lead', { roles: ['*'] }), denies({ roles: ['*'], where: broken }))).toBe(false)
    const answer = mayReview(aPerson([reviews('lead', { roles: ['*'], where: broken })]), 'dba', 'usr_bob', request)
    expect(answer.problems).toHaveLength(1)
  })

  test('nobody may review a request of their own, whatever the name says', () => {
    const lead = { ...aPerson([reviews('lead', { roles: ['*'] })]), name: 'renamed' }
    expect(mayReview(lead, 'dba', lead.id, request).may).toBe(false)
  })
})

describe('operators and help', () => {
  test('rules of own roles allow a verb on a resource, and a deny wins', () => {
    const admin = aRole('admin', { allow: { rules: [{ resources: ['*'], verbs: ['*'] }] } })
    const noDelete = aRole('no', { deny: { rules: [{ resources: ['user'], verbs: ['delete'] }] } })
    expect(mayDo(aPerson([admin]), 'user', 'delete')).toBe(true)
    expect(mayDo(aPerson([admin, noDelete]), 'user', 'delete')).toBe(false)
    expect(mayDo(aPerson([admin, noDelete]), 'role', 'delete')).toBe(true)
    expect(mayDo(aPerson([]), 'user', 'list')).toBe(false)
  })

  test('the roles that would help are the requestable ones that open the node, smallest first, own denies respected', () => {
    const opens = (name: string, logins: string[]): RoleContent =>
      aRole(name, { allow: { logins, node_labels: { env: 'prod' } } })
    const all = [
      opens('big', ['root', 'deploy']),
      opens('small', ['deploy']),
      opens('hidden', ['deploy']),
      aRole('useless'),
    ]
    const ada = aPerson([aRole('dev', asks(['big', 'small', 'useless']))])
    const aNode = { ...absentResource('node', 'box'), labels: { env: 'prod' } }
    const names = (person: Person, login: string | null): string[] =>
      rolesThatWouldHelp(person, askableRoles(person, all), aNode, login).map(({ role }) => role.name)
    expect(names(ada, null)).toEqual(['small', 'big'])
    expect(names(ada, 'root')).toEqual(['big'])
    expect(names(aPerson([...ada.roles, aRole('deny', { deny: { logins: ['deploy'] } })]), null)).toEqual(['big'])
  })
})

describe('what is refused when a role is written', () => {
  const problems = (spec: object): string[] => roleProblems(aRole('r', spec).spec)
  test.each([
    ['a broken regex', asks(['^(a$'])],
    ['half a regex', asks(['^dev-'])],
    ['a cap over 14 days', asks(['a'], { max_duration: '15d' })],
    ['an unknown field in a filter', asks(['a'], { thresholds: [{ filter: 'reviewer.team == "x"', approve: 1 }] })],
    ['a syntax error in a filter', asks(['a'], { thresholds: [{ filter: '(', approve: 1 }] })],
    ['a threshold that decides nothing', asks(['a'], { thresholds: [{ name: 'x' }] })],
    [
      'two thresholds of one name',
      asks(['a'], {
        thresholds: [
          { name: 'x', approve: 1 },
          { name: 'x', approve: 1 },
        ],
      }),
    ],
    ['where over a review', { allow: { review_requests: { roles: ['a'], where: 'review.reason == ""' } } }],
    ['a deny that names no role', { deny: { review_requests: { where: 'true' } } }],
    ['a default login that is not allowed', { allow: { logins: ['a'], default_login: 'b' } }],
    ['a broken label pattern', { allow: { node_labels: { env: '^(a$' } } }],
    ['half of any resource', { allow: { node_labels: { '*': 'prod' } } }],
  ])('%s', (_what, spec) => {
    expect(problems(spec)).toEqual([expect.any(String)])
  })

  test('the example of the manual is fine', () => {
    const filter = '"dba" in reviewer.traits.team'
    const request = {
      roles: ['dba', 'prod-*'],
      max_duration: '4h',
      thresholds: [
        { name: 'dba team', filter, approve: 1, deny: 1 },
        { name: 'x', approve: 2 },
      ],
    }
    const review_requests = { roles: ['staging-*'], where: 'request.duration <= duration("2h")' }
    expect(
      problems({
        allow: {
          logins: ['deploy'],
          default_login: 'deploy',
          node_labels: { env: ['dev', 'x y'] },
          request,
          review_requests,
        },
      }),
    ).toEqual([])
  })
})
