import { Environment, type ASTNode, type ParseResult } from '@marcbachmann/cel-js'
import { Duration } from '@marcbachmann/cel-js/evaluator'
import { RE2JS } from 're2js'
import { NAME_PATTERN } from '../contract/common.ts'
import type { OnCallFact } from '../contract/policy.ts'

// Conditions in roles are CEL. What makes them safe to take from a role's author: typed objects (an unknown field is an
// error when the role is written), a closed list of functions, no way to build long lists out of texts, at most 200 nodes
// and two nested macros, and `matches` by RE2 (the library's own is a backtracking RegExp).

/**
 * `filter` of a threshold sees reviewer, request and review; `where` of a review right sees reviewer and request;
 * `condition` of a review rule sees requester, request and now, and may ask `oncall("duty")`.
 */
export type ConditionKind = 'filter' | 'where' | 'condition'

/** A reviewer or requester. */
export interface PersonFacts {
  readonly name: string
  /** Names of own roles */
  readonly roles: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
}

export interface ConditionFacts {
  readonly reviewer: PersonFacts
  readonly request: RequestCondition
  readonly review: { readonly reason: string; readonly state: 'approve' | 'deny' } | null
}

export interface RuleConditionFacts {
  readonly requester: PersonFacts
  readonly request: RequestCondition
  readonly now: number
  /** By name of the duty; one that is not there cannot be known */
  readonly oncall?: Readonly<Record<string, OnCallFact>> | undefined
}

interface RequestCondition {
  readonly kind: string
  readonly user: string
  readonly roles: readonly string[]
  /** `kind/name` */
  readonly resources: readonly string[]
  readonly reason: string
  readonly durationMs: number
  readonly annotations: Readonly<Record<string, readonly string[]>>
  readonly createdAt: number
  /** `approval`, `first-use` or an ISO instant */
  readonly start: string
}

/** A failure is reported, not decided: whoever asks knows which direction is the safe one. */
export type ConditionResult =
  | { readonly ok: true; readonly value: boolean }
  | { readonly ok: false; readonly problem: string }

interface Compiled {
  readonly run: ParseResult
  /** Keys of traits and annotations that the text names: filled with empty lists where absent */
  readonly traitKeys: readonly string[]
  readonly annotationKeys: readonly string[]
  /** Duties that it asks for */
  readonly duties: readonly string[]
}

const MAX_NODES = 200
const MAX_NESTED_MACROS = 2
const CACHE_LIMIT = 2000
const MACROS = new Set(['all', 'exists', 'exists_one', 'filter', 'map'])
const FUNCTIONS = new Set([
  ...[
    'size',
    'startsWith',
    'endsWith',
    'contains',
    'matches',
    'lowerAscii',
    'upperAscii',
    'trim',
    'indexOf',
    'lastIndexOf',
  ],
  ...['substring', 'duration', 'timestamp', 'string', 'int', 'getFullYear', 'getMonth', 'getDate', 'getDayOfMonth'],
  ...['getDayOfWeek', 'getDayOfYear', 'getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'],
])
const STRING_LISTS = 'map<string, list<string>>'

/** Duties of the requester, opaque to conditions: only `oncall` looks into them. */
class Duties {
  readonly facts: Readonly<Record<string, OnCallFact>>

  constructor(facts: Readonly<Record<string, OnCallFact>>) {
    this.facts = facts
  }

  /** Errors: when it cannot be known. */
  has(name: string): boolean {
    const fact = Object.hasOwn(this.facts, name) ? this.facts[name] : undefined
    if (!fact) throw new Error(`nothing here knows a duty "${name}"`)
    if ('problem' in fact) throw new Error(`whether the requester has the duty "${name}" is not known: ${fact.problem}`)
    return fact.on
  }
}

const PERSON = { name: 'string', roles: 'list<string>', traits: STRING_LISTS }

const environments = {
  filter: environmentFor('filter'),
  where: environmentFor('where'),
  condition: environmentFor('condition'),
}
const cache = new Map<string, Compiled>()

function environmentFor(kind: ConditionKind): Environment {
  const env = new Environment({ limits: { maxAstNodes: MAX_NODES } })
    .registerFunction('string.matchesRe2(string): bool', (text: string, pattern: string) =>
      RE2JS.compile(pattern).matcher(text).find(),
    )
    .registerType('Request', {
      fields: {
        kind: 'string',
        user: 'string',
        roles: 'list<string>',
        resources: 'list<string>',
        reason: 'string',
        duration: 'google.protobuf.Duration',
        annotations: STRING_LISTS,
        created: 'google.protobuf.Timestamp',
        start: 'string',
      },
    })
    .registerVariable('request', 'Request')
  if (kind === 'condition')
    return env
      .registerType('Requester', { fields: PERSON })
      .registerVariable('requester', 'Requester')
      .registerVariable('now', 'google.protobuf.Timestamp')
      .registerType('Duties', { ctor: Duties })
      .registerVariable('duties', 'Duties')
      .registerFunction('oncallOf(Duties, string): bool', (duties: Duties, name: string) => duties.has(name))
  env.registerType('Reviewer', { fields: PERSON }).registerVariable('reviewer', 'Reviewer')
  if (kind === 'where') return env
  return env
    .registerType('Review', { fields: { reason: 'string', state: 'string' } })
    .registerVariable('review', 'Review')
}

/** Null, or why the text must not be written into a role. */
export function conditionProblem(kind: ConditionKind, text: string): string | null {
  try {
    compile(kind, text)
    return null
  } catch (error) {
    return firstLine(error)
  }
}

/** Duties that a rule's condition asks for, by name. A text that cannot be read asks for none. */
export function dutiesIn(text: string): readonly string[] {
  try {
    return compile('condition', text).duties
  } catch {
    return []
  }
}

/** Never throws: whatever goes wrong comes back as `{ok: false}`. */
export function evaluateCondition(
  kind: ConditionKind,
  text: string,
  facts: ConditionFacts | RuleConditionFacts,
): ConditionResult {
  try {
    const compiled = compile(kind, text)
    const value: unknown = compiled.run(contextOf(compiled, facts))
    return typeof value === 'boolean' ? { ok: true, value } : { ok: false, problem: 'the condition gave no yes or no' }
  } catch (error) {
    return { ok: false, problem: firstLine(error) }
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''

function contextOf(compiled: Compiled, facts: ConditionFacts | RuleConditionFacts): Record<string, unknown> {
  const { request } = facts
  const person = ({ name, roles, traits }: PersonFacts): Record<string, unknown> => {
    return { name, roles: [...roles], traits: filledMap(traits, compiled.traitKeys) }
  }
  return {
    request: {
      kind: request.kind,
      user: request.user,
      roles: [...request.roles],
      resources: [...request.resources],
      reason: request.reason,
      duration: durationOf(request.durationMs),
      annotations: filledMap(request.annotations, compiled.annotationKeys),
      created: new Date(request.createdAt),
      start: request.start,
    },
    ...('reviewer' in facts
      ? { reviewer: person(facts.reviewer), ...(facts.review ? { review: facts.review } : {}) }
      : {
          requester: person(facts.requester),
          now: new Date(facts.now),
          duties: new Duties(facts.oncall ?? {}),
        }),
  }
}

function durationOf(ms: number): Duration {
  return new Duration(BigInt(Math.floor(ms / 1000)), (ms % 1000) * 1_000_000)
}

function filledMap(lists: Readonly<Record<string, readonly string[]>>, keys: readonly string[]): Map<string, string[]> {
  const empty = keys.map((key): [string, string[]] => [key, []])
  const present = Object.entries(lists).map(([key, values]): [string, string[]] => [key, [...values]])
  return new Map([...empty, ...present])
}

function compile(kind: ConditionKind, text: string): Compiled {
  const key = `${kind}\n${text}`
  const known = cache.get(key)
  if (known) return known
  const run = environments[kind].parse(text)
  const found: Found = { kind, traits: new Set(), annotations: new Set(), duties: new Set() }
  inspect(run.ast, found, 0)
  const checked = run.check()
  if (!checked.valid) throw checked.error ?? new Error('the condition does not fit the types')
  if (checked.type !== 'bool') throw new Error(`a condition must give true or false, not ${checked.type ?? 'this'}`)
  const fresh = {
    run,
    traitKeys: [...found.traits],
    annotationKeys: [...found.annotations],
    duties: [...found.duties],
  }
  if (cache.size >= CACHE_LIMIT) cache.clear()
  cache.set(key, fresh)
  return fresh
}

interface Found {
  readonly kind: ConditionKind
  readonly traits: Set<string>
  readonly annotations: Set<string>
  readonly duties: Set<string>
}

/** Walks the parsed text: refuses what is not on the lists, notes trait keys, and turns `matches` into the RE2 one. */
function inspect(node: ASTNode, found: Found, macros: number): void {
  switch (node.op) {
    case 'value':
      return
    case 'id':
      if (node.args === 'duties') throw new Error('duties are asked for one by one, as in oncall("primary")')
      return
    case '.':
      return inspectField(node.args[0], node.args[1], found, macros)
    case '[]':
      return inspectIndex(node.args[0], node.args[1], found, macros)
    case 'call':
    case 'rcall':
      return inspectCall(node, found, macros)
    case '!_':
    case '-_':
      return inspect(node.args, found, macros)
    case 'map':
      return node.args.flat().forEach((child) => inspect(child, found, macros))
    case '.?':
    case '[?]':
      throw new Error('optional access is not allowed: every field is present, an absent trait is an empty list')
    default:
      return node.args.forEach((child) => inspect(child, found, macros))
  }
}

/** Traits and `request.annotations` may only be asked for one key: then absent can mean empty. */
function listsNamed(node: ASTNode): 'traits' | 'annotations' | null {
  if (node.op !== '.' || node.args[0].op !== 'id') return null
  const path = `${node.args[0].args}.${node.args[1]}`
  if (path === 'reviewer.traits' || path === 'requester.traits') return 'traits'
  return path === 'request.annotations' ? 'annotations' : null
}

function inspectField(object: ASTNode, field: string, found: Found, macros: number): void {
  const lists = listsNamed(object)
  if (lists) {
    found[lists].add(field)
    return
  }
  if (object.op === 'id' && (field === 'traits' || field === 'annotations'))
    throw new Error(`${object.args}.${field} must be asked for one key, as in ${object.args}.${field}.team`)
  inspect(object, found, macros)
}

function inspectIndex(object: ASTNode, index: ASTNode, found: Found, macros: number): void {
  const lists = listsNamed(object)
  if (!lists) {
    inspect(object, found, macros)
    inspect(index, found, macros)
    return
  }
  if (index.op !== 'value' || typeof index.args !== 'string')
    throw new Error('the key of a trait must be a constant text')
  found[lists].add(index.args)
}

function inspectCall(node: Extract<ASTNode, { op: 'call' | 'rcall' }>, found: Found, macros: number): void {
  const name = node.args[0]
  const receiver = node.op === 'rcall' ? [node.args[1]] : []
  const parameters = node.op === 'rcall' ? node.args[2] : node.args[1]
  if (name === 'has')
    throw new Error('has() is not allowed: every field is present; write size(reviewer.traits.team) > 0')
  if (name === 'oncall' && node.op === 'call') return inspectDuty(node, found)
  const isMacro = node.op === 'rcall' && MACROS.has(name)
  if (!isMacro && !FUNCTIONS.has(name)) throw new Error(`unknown function ${name}`)
  if (isMacro && macros >= MAX_NESTED_MACROS) throw new Error(`macros may be nested ${MAX_NESTED_MACROS} deep at most`)
  if (name === 'matches') {
    checkRegex(parameters)
    node.args[0] = 'matchesRe2'
  }
  for (const child of receiver) inspect(child, found, macros)
  for (const child of parameters) inspect(child, found, isMacro ? macros + 1 : macros)
}

/** `oncall("primary")` becomes a look into what is known of the requester's duties. */
function inspectDuty(node: Extract<ASTNode, { op: 'call' }>, found: Found): void {
  const [duty, ...more] = node.args[1]
  if (found.kind !== 'condition') throw new Error('oncall() is for the conditions of review rules')
  if (duty?.op !== 'value' || typeof duty.args !== 'string' || more.length > 0)
    throw new Error('oncall() takes the name of one duty as a constant text, as in oncall("primary")')
  if (!NAME_PATTERN.test(duty.args)) throw new Error(`"${duty.args.slice(0, 40)}" is no name of a duty`)
  found.duties.add(duty.args)
  node.args[0] = 'oncallOf'
  node.args[1] = [environments.condition.parse('duties').ast, duty]
}

function checkRegex(parameters: readonly ASTNode[]): void {
  const [pattern] = parameters
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string')
    throw new Error('the pattern of matches() must be a constant text')
  RE2JS.compile(pattern.args)
}
