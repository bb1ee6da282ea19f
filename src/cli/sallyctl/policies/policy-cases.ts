import { z } from 'zod'
import { Verdicts, VERDICTS, type AutomationFacts } from '../../../contract/policy.ts'
import { DurationText } from '../../../contract/role.ts'
import { parseDuration } from '../../../contract/duration.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { readDocuments } from '../documents/read-documents.ts'

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

/** Throws CommandFailed('usage') with the place of the first fault. */
export function readCases(text: string, file: string): readonly PolicyCase[] {
  const [value] = readDocuments(text, file)
  const read = z.array(Case).min(1).max(1000).safeParse(value)
  if (read.success) return read.data.map(policyCase)
  const [issue] = read.error.issues
  const [index, ...path] = issue?.path ?? []
  const place =
    index === undefined ? '' : `case ${Number(index) + 1}${path.length === 0 ? '' : `, ${path.join('.')}`}: `
  throw new CommandFailed('usage', `${file}: ${place}${issue?.message ?? ''}`)
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
