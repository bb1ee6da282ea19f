import { z } from 'zod'
import { formatDuration } from '../../../contract/duration.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { renderFields } from '../../shared/table.ts'

export async function showStatus(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const status = await api.status({})
  await context.show(status, () =>
    renderFields(Object.entries(status).map(([key, value]) => [key, linesOf(key, value)] as const)),
  )
}

const Instances = z.array(
  z.object({ name: z.string(), id: z.string(), isThis: z.boolean(), lives: z.boolean(), heardOfMsAgo: z.number() }),
)

function linesOf(key: string, value: unknown): string | string[] {
  const instances = key === 'instances' ? Instances.safeParse(value) : null
  if (instances?.success) return instances.data.map(instanceLine)
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
  return JSON.stringify(value) ?? ''
}

/** `host-a/4711 ist_... (this one), heard of 1s ago` */
function instanceLine({ name, id, isThis, lives, heardOfMsAgo }: z.infer<typeof Instances>[number]): string {
  return `${name} ${id}${isThis ? ' (this one)' : ''}, heard of ${formatDuration(heardOfMsAgo)} ago${lives ? '' : ': taken for dead'}`
}
