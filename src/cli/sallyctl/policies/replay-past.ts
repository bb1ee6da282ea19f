import { EXIT } from '../../../contract/errors.ts'
import type { Client } from '../../../contract/client.ts'
import type { Judgement, PastJudgement } from '../../../contract/policy.ts'
import type { CommandContext, PolicyWorkbench } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { readInstant } from '../../shared/read-options.ts'

interface Difference {
  readonly request: string
  readonly user: string
  readonly roles: readonly string[]
  readonly createdAt: number
  readonly state: string
  readonly policy: string
  readonly said: string
  readonly wouldSay: string
}

/** Exits 8 when a policy would have said something else. */
export async function replayPast(
  context: CommandContext,
  options: { readonly since: string; readonly policy: string | undefined },
): Promise<number> {
  const { openWorkbench } = context
  if (!openWorkbench) throw new CommandFailed('failed', 'this program cannot run policies')
  const since = readInstant(options.since, context.terminal.clock.now()) ?? 0
  const api = await context.dial.operator(context)
  const bench = await openWorkbench(
    options.policy === undefined ? { policies: await policiesInForce(api) } : { folder: options.policy },
  )
  try {
    const differences: Difference[] = []
    let asked = 0
    for await (const past of pastSince(api, since)) {
      asked += 1
      differences.push(...(await compare(bench, past)))
    }
    const result = { asked, policies: bench.files, differences }
    await context.show(result, () => textOf(asked, bench.files.length, differences))
    return differences.length === 0 ? EXIT.done : EXIT.conflict
  } finally {
    bench.close()
  }
}

async function policiesInForce(api: Client): Promise<Record<string, Record<string, string>>> {
  const { items } = await api.listPolicies({})
  return Object.fromEntries(items.map(({ file, modules }) => [file, modules]))
}

async function* pastSince(api: Client, since: number): AsyncGenerator<PastJudgement> {
  let cursor: string | undefined
  do {
    const page = await api.pastJudgements({ query: { since, ...(cursor === undefined ? {} : { cursor }) } })
    yield* page.items
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
}

async function compare(bench: PolicyWorkbench, past: PastJudgement): Promise<Difference[]> {
  const before = new Map(
    past.judged.flatMap(({ by, judgement }) => (by.startsWith('policy:') ? [[by, effectOf(judgement)] as const] : [])),
  )
  const after = new Map<string, string>()
  for (const file of bench.files)
    after.set(`policy:${file.replace(/\.ts$/, '')}`, effectOf(await bench.judge(file, past.facts)))
  const { request, user, roles, createdAt, state } = past
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((policy) => {
    const said = before.get(policy) ?? NOTHING
    const wouldSay = after.get(policy) ?? NOTHING
    return said === wouldSay ? [] : [{ request, user, roles, createdAt, state, policy, said, wouldSay }]
  })
}

const NOTHING = 'nothing'

/** What it does, without the words that it gives for it. */
function effectOf(judgement: Judgement): string {
  if (!judgement.ok) return `failed: ${judgement.problem}`
  const effects = judgement.verdicts.flatMap((verdict) => {
    if (verdict.verdict === 'abstain') return []
    if (verdict.verdict === 'require') return [`require ${verdict.approvals} of ${verdict.group}`]
    return [verdict.verdict === 'limit' ? `limit ${verdict.duration}` : verdict.verdict]
  })
  return effects.length === 0 ? NOTHING : effects.sort().join(', ')
}

function textOf(asked: number, policies: number, differences: readonly Difference[]): string {
  const lines = differences.map((each) => {
    const what = `${localTime(each.createdAt)} ${each.request} ${each.user} ${each.roles.join(',')} (${each.state})`
    return harmless(`${what}: ${each.policy} said ${each.said}, would say ${each.wouldSay}`)
  })
  const requests = new Set(differences.map(({ request }) => request)).size
  const last = `${asked} requests, ${policies} policies: ${requests === 0 ? 'nothing differs' : `${requests} would differ`}`
  return [...lines, last].join('\n')
}
