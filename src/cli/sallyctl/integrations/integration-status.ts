import { formatDuration } from '../../../contract/duration.ts'
import type {
  DeadLetter,
  DeliveryPreview,
  DeliveryWait,
  IntegrationStatus,
} from '../../../contract/integration-status.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { withProgress } from '../../shared/with-progress.ts'
import { renderTable, type Column } from '../../shared/table.ts'

const COLUMNS: readonly Column<IntegrationStatus>[] = [
  { head: 'Name', cell: (each) => each.name },
  { head: 'Vendor', cell: (each) => each.vendor },
  { head: 'State', cell: (each) => each.state },
  { head: 'Waiting', cell: (each) => String(each.waiting) },
  { head: 'Given up', cell: (each) => String(each.dead) },
  {
    head: 'Last delivered',
    cell: (each) => (each.lastDeliveredAt === null ? 'never' : localTime(each.lastDeliveredAt)),
  },
  { head: 'Why', cell: whyOf, shrinks: true },
]

function whyOf({ why, heldUntil }: IntegrationStatus): string {
  if (heldUntil !== null) return `until ${localTime(heldUntil)}: ${why ?? ''}`
  return why ?? ''
}

export async function listIntegrations(context: CommandContext): Promise<void> {
  const api = await context.dial.operator(context)
  const { items } = await api.listIntegrationStatus({})
  await context.show(items, () => tableOf(items, context))
}

const tableOf = (items: readonly IntegrationStatus[], context: CommandContext): string =>
  items.length === 0
    ? 'No integrations. Make one: sallyctl create -f FILE'
    : renderTable(COLUMNS, items, context.terminal.stdout.columns)

/** Exit code 1 when something needs somebody. */
export async function showStatus(context: CommandContext, name: string | undefined): Promise<number | void> {
  const api = await context.dial.operator(context)
  const { items: all } = await api.listIntegrationStatus({})
  const items = name === undefined ? all : all.filter((each) => each.name === name)
  if (name !== undefined && items.length === 0)
    throw new CommandFailed('notFound', `There is no integration "${harmless(name)}".`, 'Run: sallyctl integration ls')
  await context.show(items, () =>
    [tableOf(items, context), ...items.flatMap(waitsOf), ...items.flatMap(lettersOf)].join('\n'),
  )
  if (items.some(({ state, dead }) => state === 'broken' || dead > 0)) return 1
}

const WAITING = {
  all: 'all messages wait',
  new: 'new messages wait',
  change: 'changes of messages wait',
  look: 'searches for messages wait',
} as const

function waitsOf({ name, waits, waiting }: IntegrationStatus): string[] {
  if (waiting === 0 || waits.length === 0) return []
  return ['', `Why messages of ${name} wait:`, ...waits.map(waitLine)]
}

function waitLine({ what, of, destination, until, why }: DeliveryWait): string {
  const where = destination === null ? '' : ` to ${destination}`
  const because = what === 'limit' ? 'the limit that the vendor sets is used up' : (why ?? 'no answer')
  const head = what === 'outage' ? 'the vendor does not answer; it is asked again at' : `${WAITING[of]}${where} until`
  return harmless(`  ${head} ${localTime(until)}: ${because}`)
}

function lettersOf({ name, dead, deadLetters, state }: IntegrationStatus): string[] {
  const broken =
    state === 'broken'
      ? [
          '',
          `${name} is broken: mend it (sallyctl edit integration/${name}), or once the vendor is well: sallyctl integration retry ${name}`,
        ]
      : []
  if (dead === 0) return broken
  const more = dead - deadLetters.length
  const head = `${name} gave up ${dead} message${dead === 1 ? '' : 's'}${more > 0 ? ` (the newest ${deadLetters.length} are shown)` : ''}:`
  return [...broken, '', head, ...deadLetters.flatMap(letterLines)]
}

const letterLines = (letter: DeadLetter): string[] => [
  harmless(`  ${letter.message}  ${localTime(letter.at)}  ${letter.request ?? 'no request'}  to ${letter.destination}`),
  harmless(`    ${letter.why}`),
  harmless(`    ${letter.help}`),
]

export async function retry(context: CommandContext, name: string, message: string | undefined): Promise<void> {
  const api = await context.dial.operator(context)
  const body = message === undefined ? {} : { message }
  const done = await api.retryIntegration({ params: { name }, body })
  await context.show(done, () => {
    if (done.retried === 0 && !done.mended) return `${harmless(name)} has given nothing up, and is not broken.`
    const sent = `${done.retried} message${done.retried === 1 ? ' is' : 's are'} sent again, in the newest state.`
    return done.mended ? `${sent} ${harmless(name)} is tried anew.` : sent
  })
}

/** Exit code 1 when something is wrong. */
export async function check(context: CommandContext, name: string): Promise<number | void> {
  const api = await context.dial.operator(context)
  const { items } = await withProgress(context, `Asking the vendor of ${harmless(name)}...`, () =>
    api.checkIntegration({ params: { name } }),
  )
  await context.show(items, () => items.map(({ ok, text }) => harmless(`${ok ? 'ok  ' : 'FAIL'}  ${text}`)).join('\n'))
  if (items.some(({ ok }) => !ok)) return 1
}

const REACHED: readonly Column<DeliveryPreview['items'][number]>[] = [
  { head: 'Integration', cell: (each) => each.integration },
  { head: 'To', cell: (each) => each.destination, shrinks: true },
  { head: 'As', cell: (each) => each.audience },
  {
    head: 'When',
    cell: ({ after }) => (after === null ? 'at once' : `when nobody has answered for ${formatDuration(after)}`),
  },
]

export async function preview(context: CommandContext, role: string, user: string | undefined): Promise<void> {
  const api = await context.dial.operator(context)
  const found = await api.previewDelivery({ query: user === undefined ? { role } : { role, user } })
  await context.show(found, () => {
    const people = new Set(found.items.flatMap((each) => (each.audience === 'reviewer' ? [each.destination] : [])))
    const table = renderTable(REACHED, found.items, context.terminal.stdout.columns)
    const none = found.unreached.length === 0 ? [] : [`Reached by none: ${found.unreached.join(', ')}`]
    const count = `${people.size} reviewer${people.size === 1 ? ' is' : 's are'} told in person.`
    return [found.items.length === 0 ? 'Nobody would be told.' : table, '', count, ...none].join('\n')
  })
}
