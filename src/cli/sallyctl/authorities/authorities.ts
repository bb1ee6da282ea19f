import type { Answer } from '../../../contract/client.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmlessLines } from '../../shared/harmless.ts'
import { renderTable, type Column } from '../../shared/table.ts'

const COLUMNS: readonly Column<Answer<'listAuthorities'>['items'][number]>[] = [
  { head: 'Authority', cell: (each) => each.id },
  { head: 'Kind', cell: (each) => each.kind },
  { head: 'State', cell: (each) => each.state },
  { head: 'Since', cell: (each) => localTime(each.createdAt) },
]

export async function showAuthorities(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listAuthorities({})
  await context.show(items, () => renderTable(COLUMNS, items, context.terminal.stdout.columns))
}

/** Every key of that kind that may be in use: while one is rotated, both must be trusted. */
export async function exportAuthority(context: CommandContext, kind: string): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listAuthorities({})
  const found = items.filter((each) => each.kind === kind)
  const kinds = [...new Set(items.map((each) => each.kind))].join(', ')
  if (found.length === 0) throw new CommandFailed('notFound', `there is no authority "${kind}"`, `Kinds: ${kinds}.`)
  await context.show(found, () => found.flatMap((each) => harmlessLines(each.public.trim())).join('\n'))
}

type Step = 'init' | 'trust' | 'sign' | 'drop' | 'cancel'
const NEXT: Readonly<Record<Step, string>> = {
  init: 'Give the new public key (sallyctl ca export) to whoever must trust it, then: --step=trust',
  trust: 'When everybody trusts both, then: --step=sign',
  sign: 'When nothing that the old key signed is in use any more, then: --step=drop',
  drop: 'The exchange is complete.',
  cancel: 'The new key is gone; the old one stays.',
}

export async function rotateAuthority(context: CommandContext, kind: string, step: Step | undefined): Promise<void> {
  if (step === undefined) {
    throw new CommandFailed('usage', '--step is missing', 'In this order: init, trust, sign, drop. cancel goes back.')
  }
  const api = await context.dial.operator(context)
  await api.rotateAuthority({ params: { kind }, body: { step } })
  const { items } = await api.listAuthorities({})
  const found = items.filter((each) => each.kind === kind)
  await context.show(found, () => `${renderTable(COLUMNS, found, context.terminal.stdout.columns)}\n\n${NEXT[step]}`)
}
