import type { CommandContext } from '../../shared/command-context.ts'
import { renderFields } from '../../shared/table.ts'

export async function showStatus(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const status = await api.status({})
  await context.show(status, () =>
    renderFields(Object.entries(status).map(([key, value]) => [key, linesOf(value)] as const)),
  )
}

function linesOf(value: unknown): string | string[] {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
  return JSON.stringify(value) ?? ''
}
