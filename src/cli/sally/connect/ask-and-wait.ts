import { ApiError } from '../../../contract/api-error.ts'
import type { AccessCheck, AskWay } from '../../../contract/access-check.ts'
import type { Client } from '../../../contract/client.ts'
import { formatDuration, parseDuration } from '../../../contract/duration.ts'
import { EXIT } from '../../../contract/errors.ts'
import type { AccessRequest } from '../../../contract/request.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { describeWay, warningText } from '../../shared/describe-request.ts'
import { harmless } from '../../shared/harmless.ts'
import { readDuration } from '../../shared/read-options.ts'
import { followRequest, standingOf } from '../request/follow-request.ts'

export type RefusedAccess = Extract<AccessCheck, { ok: false }>

export interface AskOrder {
  /** Ask without questions */
  readonly request: boolean
  readonly reason: string | undefined
  readonly duration: string | undefined
  /** The command that goes on with it, for whoever leaves */
  readonly again: string
}

/** `granted`: it is approved. Anything else has been told, and is over with this exit code. */
export type AskOutcome = { readonly kind: 'granted' } | { readonly kind: 'over'; readonly exit: number }

const USUAL_MS = 3_600_000
const MOST_TRIES = 3

/**
 * Offers to ask for what was refused, asks and waits; all of it on stderr, the output belongs to what comes after. Null:
 * nothing that could be asked for would help, or nobody is there to decide it.
 */
export async function askAndWait(
  context: CommandContext,
  api: Client,
  refused: RefusedAccess,
  order: AskOrder,
): Promise<AskOutcome | null> {
  const { ways, pending } = refused
  if (!order.request && !context.terminal.interactive) return null
  if (pending) {
    context.warn(`you have asked already: ${pending.id}`)
    return wait(context, api, pending, order)
  }
  if (ways.length === 0) return null
  const asked = order.request ? unasked(ways, order) : await question(context, refused, order)
  if (asked === null) return { kind: 'over', exit: EXIT.denied }
  return wait(context, api, await file(context, api, asked), order)
}

interface Asked {
  readonly way: AskWay
  readonly reason: string
  readonly durationMs: number
}

/** The first way gives the least. */
function unasked(ways: readonly AskWay[], order: AskOrder): Asked | null {
  const [way] = ways
  if (!way) return null
  return { way, reason: order.reason ?? '', durationMs: readDuration(order.duration) ?? usual(way) }
}

async function question(
  context: CommandContext,
  { lines, ways }: RefusedAccess,
  order: AskOrder,
): Promise<Asked | null> {
  context.progress(harmless((lines[0] ?? '').replace(/^sallyport: /, '')))
  const way = await choose(context, ways)
  if (!way) return null
  const reason = order.reason ?? (await reasonFor(context, way))
  const durationMs = readDuration(order.duration) ?? (await durationFor(context, way))
  return { way, reason, durationMs }
}

async function choose({ prompt, progress }: CommandContext, ways: readonly AskWay[]): Promise<AskWay | null> {
  const [only] = ways
  if (only && ways.length === 1) return (await prompt.confirm(`Ask for ${describeWay(only)}?`)) ? only : null
  progress('Any of these would help; the first gives the least:')
  for (const [index, way] of ways.entries()) progress(`  ${index + 1}  ${describeWay(way)}`)
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const typed = (await prompt.text(`Which one to ask for? 1-${ways.length}, or Enter for none`)).trim()
    if (typed === '') return null
    const way = /^\d{1,3}$/.test(typed) ? ways[Number(typed) - 1] : undefined
    if (way) return way
  }
  return null
}

async function reasonFor({ prompt }: CommandContext, { reason }: AskWay): Promise<string> {
  const what = harmless(reason.prompt ?? 'Reason')
  if (!reason.required) return prompt.text(`${what} (may be empty)`)
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const typed = await prompt.text(what)
    if (typed.trim() !== '') return typed
  }
  throw new CommandFailed('usage', 'a reason is required')
}

async function durationFor({ prompt, progress }: CommandContext, way: AskWay): Promise<number> {
  const proposed = usual(way)
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const typed = (
      await prompt.text(`For how long? Up to ${formatDuration(way.longest)}; Enter for ${formatDuration(proposed)}`)
    ).trim()
    if (typed === '') return proposed
    const parsed = parseDuration(typed)
    if (parsed.ok && parsed.ms <= way.longest) return parsed.ms
    progress(parsed.ok ? `at most ${formatDuration(way.longest)}` : parsed.message)
  }
  throw new CommandFailed('usage', 'that is no duration')
}

const usual = (way: AskWay): number => Math.min(way.longest, USUAL_MS)

async function file(context: CommandContext, api: Client, { way, reason, durationMs }: Asked): Promise<AccessRequest> {
  const body = {
    roles: [...way.roles],
    resources: way.resources.map(({ kind, name }) => `${kind}/${name}`),
    ...(way.narrowing ? { narrowing: way.narrowing } : {}),
    reason,
    duration: durationMs,
  }
  const { request } = await api.ask({ body })
  if (request === null) throw new CommandFailed('failed', 'the proxy did not file the request')
  for (const warning of request.warnings) context.warn(warningText(warning))
  return request
}

async function wait(context: CommandContext, api: Client, first: AccessRequest, order: AskOrder): Promise<AskOutcome> {
  context.progress(`Seeking request approval... (${first.id})`)
  if (context.terminal.stderr.columns === null) context.progress(harmless(standingOf(first)))
  try {
    const decided = await followRequest(context, api, first)
    context.progress(
      harmless(`Request ${decided.state}${decided.resolution === null ? '' : `: ${decided.resolution}`}`),
    )
    if (decided.state === 'approved') return { kind: 'granted' }
    return { kind: 'over', exit: decided.state === 'denied' ? EXIT.denied : EXIT.expired }
  } catch (error) {
    if (context.terminal.interrupted.aborted || error instanceof ApiError) {
      context.warn(`the request stays open. To go on: ${order.again}`)
      context.warn(`to withdraw it: sally request cancel ${first.id}`)
    }
    throw error
  }
}
