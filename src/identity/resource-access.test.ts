import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoleDocument, type RoleSpec } from '../contract/role.ts'
import { absentResource, type ResourceFacts } from '../resources/resource.ts'
import { nodeAccess, type WorkingRole } from './node-access.ts'
import { accountsGiven } from './resource-access.ts'

const spec = (input: object): RoleSpec =>
  RoleDocument.parse({ kind: 'role', metadata: { name: 'r' }, spec: input }).spec

interface Simple {
  readonly logins: readonly string[]
  /** One label with its values; null: any node */
  readonly where: readonly [key: string, values: readonly string[]] | null
}
interface SimpleRole extends Simple {
  readonly deny: Simple
}
type Labels = Readonly<Record<string, string>>

const LOGINS = ['a', 'b', 'c']
const KEYS = ['env', 'team']
const VALUES = ['x', 'y']
const logins = fc.subarray(LOGINS)
const labels = fc.record({ env: fc.constantFrom(...VALUES), team: fc.constantFrom(...VALUES) }, { requiredKeys: [] })
const where = fc.option(fc.tuple(fc.constantFrom(...KEYS), fc.subarray(VALUES, { minLength: 1 })), { freq: 4 })
const simple = fc.record({ logins, where })
const rarely = fc.record({
  logins: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: logins }),
  where: fc.oneof(
    { weight: 4, arbitrary: fc.constant(['none', ['none']] as [string, string[]]) },
    { weight: 1, arbitrary: where },
  ),
})
const role = fc.tuple(simple, rarely).map(([allow, deny]): SimpleRole => ({ ...allow, deny }))

const selector = ({ where: at }: Simple): object => (at === null ? { '*': '*' } : { [at[0]]: at[1] })
const written = ({ deny, ...allow }: SimpleRole): RoleSpec =>
  spec({
    allow: { logins: allow.logins, node_labels: selector(allow) },
    deny: { logins: deny.logins, node_labels: selector(deny) },
  })

// The model, in other words than the product's: what one role says of one set of labels.
const selects = ({ where: at }: Simple, of: Labels): boolean => at === null || at[1].includes(of[at[0]] ?? '')
const allows = (one: SimpleRole, of: Labels, login: string): boolean => one.logins.includes(login) && selects(one, of)
const denies = (one: SimpleRole, of: Labels, login: string): boolean =>
  one.deny.logins.includes(login) || selects(one.deny, of)

const box = (of: Labels, more: Partial<ResourceFacts> = {}): ResourceFacts => {
  return { ...absentResource('node', 'box'), id: 'nod_1', identity: 'key', labels: of, ...more }
}

interface Story {
  readonly own: SimpleRole
  /** Roles of the grant: pinned revision and current one */
  readonly granted: readonly (readonly [SimpleRole, SimpleRole])[]
  readonly before: Labels
  readonly now: Labels
  readonly only: string | null
}
const story: fc.Arbitrary<Story> = fc.record({
  own: role,
  granted: fc.array(fc.tuple(role, role), { minLength: 1, maxLength: 2 }),
  before: labels,
  now: labels,
  only: fc.option(fc.constantFrom(...LOGINS)),
})

function working({ own, granted, before, only }: Story, confined: boolean): WorkingRole[] {
  const narrowing = only === null ? null : { login: only }
  const confinedTo = confined ? { resources: [box(before)], narrowing } : null
  return [
    { id: 'own', name: 'own', origin: { kind: 'own' }, specs: [written({ ...own, logins: [] })], confinedTo: null },
    ...granted.map(([pinned, current], index): WorkingRole => {
      const name = `r${index}`
      const origin = { kind: 'granted', grantId: 'g' } as const
      return { id: name, name, origin, specs: [written(pinned), written(current)], confinedTo }
    }),
  ]
}

const loginsOn = (roles: readonly WorkingRole[], node: ResourceFacts): string[] => [
  ...nodeAccess(roles, node).logins.keys(),
]

/** What the grant gave at approval, when the current revisions were the pinned ones and nothing had been labelled anew. */
function atApproval({ own, granted, before, only }: Story): string[] {
  const all = [own, ...granted.map(([pinned]) => pinned)]
  return LOGINS.filter(
    (login) =>
      (only === null || only === login) &&
      all.every((one) => !denies(one, before, login)) &&
      granted.some(([pinned]) => allows(pinned, before, login)),
  )
}

describe('a grant of resources', () => {
  test('gives exactly what one role gives in both revisions under both sets of labels, less what is denied under either', () => {
    fc.assert(
      fc.property(story, (told) => {
        const { own, granted, before, now, only } = told
        const moments = [before, now]
        const denying = [own, ...granted.flat()]
        const expected = LOGINS.filter(
          (login) =>
            (only === null || only === login) &&
            !denying.some((one) => moments.some((of) => denies(one, of, login))) &&
            granted.some((revisions) => revisions.every((one) => moments.every((of) => allows(one, of, login)))),
        )
        expect(loginsOn(working(told, true), box(now))).toEqual(expected)
      }),
      { numRuns: 400 },
    )
  })
  test('gives never more than at approval, nor than the same roles would give without the pins', () => {
    fc.assert(
      fc.property(story, (told) => {
        const given = loginsOn(working(told, true), box(told.now))
        const unpinned = loginsOn(working(told, false), box(told.now))
        for (const login of given) {
          expect(atApproval(told)).toContain(login)
          expect(unpinned).toContain(login)
        }
      }),
      { numRuns: 400 },
    )
  })
  test('gives nothing anywhere else: another id, another machine, another kind', () => {
    fc.assert(
      fc.property(story, (told) => {
        const roles = working(told, true)
        for (const other of [{ id: 'nod_2' }, { identity: 'other' }, { kind: 'database' as const }, { id: '' }])
          expect(accountsGiven(roles, box(told.before, other)).size).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
  test('that names no resource gives nothing', () => {
    const all = written({ logins: ['a'], where: null, deny: { logins: [], where: ['none', ['none']] } })
    const confinedTo = { resources: [], narrowing: null }
    const one: WorkingRole = { id: 'r', name: 'r', origin: { kind: 'own' }, specs: [all], confinedTo }
    expect(loginsOn([one], box({}))).toEqual([])
    expect(loginsOn([{ ...one, confinedTo: null }], box({}))).toEqual(['a'])
  })
})
