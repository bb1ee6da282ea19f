import type { RequestBlock, ReviewBlock, RoleSpec } from '../contract/role.ts'
import { parseDuration } from '../contract/duration.ts'
import { selectorProblems } from '../resources/label-matching.ts'
import { conditionProblem } from './conditions.ts'
import { FREE_ALPHABET, patternProblem } from './patterns.ts'
import { notifyProblem } from './notify-target.ts'

const HOUR_MS = 3_600_000
const LONGEST_GRANT_MS = 14 * 24 * HOUR_MS
const LONGEST_PENDING_MS = 7 * 24 * HOUR_MS

/** What is wrong with a role beyond its shape, one sentence each, with its place. Empty: it may be written. */
export function roleProblems(spec: RoleSpec): string[] {
  return [
    ...at('allow.node_labels', selectorProblems(spec.allow.node_labels, labelProblem)),
    ...at('deny.node_labels', selectorProblems(spec.deny.node_labels, labelProblem)),
    ...databaseProblems('allow', spec.allow),
    ...databaseProblems('deny', spec.deny),
    ...at('allow.default_login', defaultLoginProblems(spec)),
    ...requestProblems(spec.allow.request),
    ...at('deny.request.roles', patternProblems(spec.deny.request?.roles ?? [])),
    ...at('deny.request.search_as_roles', patternProblems(spec.deny.request?.search_as_roles ?? [])),
    ...reviewProblems('allow.review_requests', spec.allow.review_requests),
    ...reviewProblems('deny.review_requests', spec.deny.review_requests),
  ]
}

const at = (place: string, problems: readonly string[]): string[] => problems.map((problem) => `${place}: ${problem}`)
const labelProblem = (pattern: string): string | null => patternProblem(pattern, FREE_ALPHABET)
const patternProblems = (patterns: readonly string[]): string[] =>
  patterns.flatMap((pattern) => patternProblem(pattern) ?? [])

function databaseProblems(half: 'allow' | 'deny', rights: RoleSpec['allow'] | RoleSpec['deny']): string[] {
  const { db_labels: labels = {}, db_users: users = [], db_names: names = [], db_roles: roles = [] } = rights
  const patterns = (all: readonly string[]): string[] => all.flatMap((each) => patternProblem(each, DB_ALPHABET) ?? [])
  return [
    ...at(`${half}.db_labels`, selectorProblems(labels, labelProblem)),
    ...at(`${half}.db_users`, patterns(users)),
    ...at(`${half}.db_names`, patterns(names)),
    ...at(
      `${half}.db_roles`,
      roles.filter((role, index) => roles.indexOf(role) !== index).map((role) => `"${role}" stands twice`),
    ),
  ]
}

const DB_ALPHABET = /^[A-Za-z0-9_.$@*-]+$/

function defaultLoginProblems({ allow }: RoleSpec): string[] {
  if (allow.default_login === undefined || allow.logins.includes(allow.default_login)) return []
  return [`"${allow.default_login}" is not one of allow.logins`]
}

function requestProblems(block: RequestBlock | undefined): string[] {
  if (!block) return []
  return [
    ...at('allow.request.roles', patternProblems(block.roles)),
    ...at('allow.request.search_as_roles', patternProblems(block.search_as_roles)),
    ...at(
      'allow.request.claims_to_roles',
      block.claims_to_roles.flatMap(({ value }) => labelProblem(value) ?? []),
    ),
    ...at('allow.request.max_duration', tooLong(block.max_duration)),
    ...block.thresholds.flatMap(({ filter }, index) =>
      conditionProblems(`allow.request.thresholds[${index}].filter`, 'filter', filter),
    ),
    ...at('allow.request.thresholds', thresholdProblems(block)),
    ...escalationProblems(block),
    ...at('allow.request.break_glass.roles', patternProblems(block.break_glass?.roles ?? [])),
    ...at('allow.request.break_glass.max_duration', overAnHour(block.break_glass?.max_duration)),
  ]
}

function tooLong(text: string | undefined): string[] {
  return isLonger(text, LONGEST_GRANT_MS) ? ['a grant lasts 14 days at most'] : []
}

const overAnHour = (text: string | undefined): string[] =>
  isLonger(text, HOUR_MS) ? ['access without asking lasts 1h at most'] : []

function isLonger(text: string | undefined, limit: number): boolean {
  const parsed = text === undefined ? null : parseDuration(text)
  return parsed?.ok === true && parsed.ms > limit
}

function escalationProblems({ escalation = [] }: RequestBlock): string[] {
  return escalation.flatMap(({ after, notify }, index) => {
    const place = `allow.request.escalation[${index}]`
    return [
      ...at(`${place}.after`, isLonger(after, LONGEST_PENDING_MS) ? ['a request waits 7 days at most'] : []),
      ...at(
        `${place}.notify`,
        notify.flatMap((target) => notifyProblem(target) ?? []),
      ),
    ]
  })
}

function thresholdProblems({ thresholds }: RequestBlock): string[] {
  const names = thresholds.flatMap(({ name }) => (name === undefined ? [] : [name]))
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  const idle = thresholds.filter(({ approve, deny }) => approve === 0 && deny === 0).length
  return [
    ...twice.map((name) => `the name "${name}" stands twice`),
    ...(idle > 0 ? ['a threshold that neither approves nor denies decides nothing: give approve or deny'] : []),
  ]
}

function reviewProblems(place: string, block: ReviewBlock | undefined): string[] {
  if (!block) return []
  const idle =
    block.where !== undefined && block.roles.length === 0 ? ['where without roles applies to nothing: name roles'] : []
  return [
    ...at(`${place}.roles`, patternProblems(block.roles)),
    ...at(place, idle),
    ...conditionProblems(`${place}.where`, 'where', block.where),
  ]
}

function conditionProblems(place: string, kind: 'filter' | 'where', text: string | undefined): string[] {
  return text === undefined ? [] : at(place, [conditionProblem(kind, text) ?? []].flat())
}
