import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { EXIT } from '../../../contract/errors.ts'
import type { Judgement } from '../../../contract/policy.ts'
import type { CommandContext, PolicyWorkbench } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { harmless } from '../../shared/harmless.ts'
import { readCases, type PolicyCase } from './policy-cases.ts'

interface Checked {
  readonly policy: string
  readonly case: string
  readonly ok: boolean
  readonly says: string
}

export async function checkPolicies(context: CommandContext, folder: string): Promise<number> {
  if (!context.openWorkbench) throw new CommandFailed('failed', 'this program cannot run policies')
  const bench = await context.openWorkbench({ folder })
  try {
    const checked: Checked[] = []
    for (const file of await caseFiles(folder)) {
      const policy = file.replace(/\.cases\.yaml$/, '.ts')
      if (!bench.files.includes(policy)) throw new CommandFailed('usage', `${file}: there is no ${policy} beside it`)
      for (const one of readCases(await readFile(join(folder, file), 'utf8'), file))
        checked.push(await check(bench, policy, one))
    }
    const failed = checked.filter(({ ok }) => !ok).length
    await context.show({ policies: bench.files, cases: checked }, () => textOf(bench.files, checked, failed))
    return failed === 0 ? EXIT.done : EXIT.failed
  } finally {
    bench.close()
  }
}

async function caseFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.cases.yaml')).sort()
}

async function check(bench: PolicyWorkbench, policy: string, one: PolicyCase): Promise<Checked> {
  const judgement = await bench.judge(policy, one.facts)
  const ok = isExpected(judgement, one.expect)
  return { policy, case: one.name, ok, says: says(judgement) }
}

function isExpected(judgement: Judgement, expected: PolicyCase['expect']): boolean {
  if (!judgement.ok) return expected === 'fail'
  if (typeof expected === 'string')
    return judgement.verdicts.length === 1 && judgement.verdicts[0]?.verdict === expected
  const named = expected.every((one) => typeof one === 'string')
  return isDeepStrictEqual(named ? judgement.verdicts.map((one) => one.verdict) : [...judgement.verdicts], expected)
}

const says = (judgement: Judgement): string =>
  judgement.ok ? JSON.stringify(judgement.verdicts) : `it failed: ${judgement.problem}`

function textOf(files: readonly string[], checked: readonly Checked[], failed: number): string {
  const lines = checked.map(({ policy, case: name, ok, says: said }) =>
    harmless(`${ok ? 'ok     ' : 'FAILED '}${policy}: ${name}${ok ? '' : `; it said ${said}`}`),
  )
  const untested = files.filter((file) => !checked.some(({ policy }) => policy === file))
  const without = untested.length === 0 ? [] : [`without cases: ${untested.join(', ')}`]
  const count = `${files.length} policies, ${checked.length} cases, ${failed === 0 ? 'all as expected' : `${failed} FAILED`}`
  return [...lines, ...without, count].join('\n')
}
