import { parseDocument } from 'yaml'
import { z } from 'zod'
import { AutomationFacts, Verdicts, VERDICTS } from '../../../contract/policy.ts'
import { DurationText } from '../../../contract/role.ts'
import { parseDuration } from '../../../contract/duration.ts'

// Unit tests of a policy, in a table beside it: `freeze.cases.yaml` belongs to `freeze.ts`.

const Lists = z.record(z.string(), z.array(z.string()))
const Strings = z.array(z.string())

const Case = z.strictObject({
  name: z.string().min(1).max(200),
  facts: z.strictObject({
    now: z.iso.datetime().default('2026-01-05T10:00:00Z'),
    request: z
      .strictObject({
        kind: z.enum(['role', 'resource', 'extension']).default('role'),
        roles: Strings.default([]),
        resources: Strings.default([]),
        reason: z.string().default(''),
        duration: DurationText.default('1h'),
        annotations: Lists.default({}),
        start: z.string().default('approval'),
      })
      .prefault({}),
    requester: z
      .strictObject({ name: z.string().default('alice'), roles: Strings.default([]), traits: Lists.default({}) })
      .prefault({}),
  }),
  /** Names of the verdicts, or the verdicts themselves */
  expect: z.union([z.enum([...VERDICTS, 'fail']), z.array(z.enum(VERDICTS)).min(1), Verdicts]),
})
type Case = z.output<typeof Case>

export interface PolicyCase {
  readonly name: string
  readonly facts: AutomationFacts
  readonly expect: Case['expect']
}

export type ReadCases =
  | { readonly ok: true; readonly cases: readonly PolicyCase[] }
  | { readonly ok: false; readonly problem: string }

export function readCases(text: string, file: string): ReadCases {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true })
  const [fault] = document.errors
  if (fault) return { ok: false, problem: `${file}: ${fault.message.split('\n', 1)[0] ?? ''}` }
  const read = z
    .array(Case)
    .min(1)
    .max(1000)
    .safeParse(document.toJS({ maxAliasCount: 0 }))
  if (read.success) return { ok: true, cases: read.data.map(policyCase) }
  const [issue] = read.error.issues
  const [index, ...path] = issue?.path ?? []
  const place =
    index === undefined ? '' : `case ${Number(index) + 1}${path.length === 0 ? '' : `, ${path.join('.')}`}: `
  return { ok: false, problem: `${file}: ${place}${issue?.message ?? ''}` }
}

function policyCase({ name, facts, expect }: Case): PolicyCase {
  const now = Date.parse(facts.now)
  const { duration, ...request } = facts.request
  const length = parseDuration(duration)
  return {
    name,
    facts: {
      now,
      request: { ...request, user: facts.requester.name, created: now, duration: length.ok ? length.ms : 0 },
      requester: facts.requester,
    },
    expect,
  }
}
