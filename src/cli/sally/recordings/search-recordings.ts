import type { RecordingSearchPage } from '../../../contract/recording-search.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'

export interface SearchFlags {
  readonly user: string | undefined
  readonly on: string | undefined
  readonly limit: string | undefined
}

type Found = RecordingSearchPage['items'][number]

interface Searched {
  readonly items: readonly Found[]
  readonly searched: number
  readonly unreadable: readonly string[]
  readonly withheld: number
  /** False: older sessions were not looked at */
  readonly whole: boolean
}

const USUAL_LIMIT = 100
/** A page may have looked at many sessions and found nothing. */
const MOST_PAGES = 1000

/** Sessions whose recordings hold a text, from the newest on. */
export async function searchRecordings(context: CommandContext, text: string, flags: SearchFlags): Promise<void> {
  const most = readLimit(flags.limit)
  const api = await context.dial.signedIn(context)
  const { user, on } = flags
  const all = { items: [] as Found[], searched: 0, unreadable: [] as string[], withheld: 0, whole: false }
  let cursor: string | undefined
  for (let pages = 0; pages < MOST_PAGES && all.items.length < most; pages++) {
    const page = await api.searchRecordings({ query: { text, user, on, cursor }, signal: context.terminal.interrupted })
    all.items.push(...page.items)
    all.searched += page.searched
    all.unreadable.push(...page.unreadable)
    all.withheld += page.withheld
    if (page.next === null) {
      all.whole = true
      break
    }
    cursor = page.next
  }
  const shown: Searched = { ...all, items: all.items.slice(0, most), whole: all.whole && all.items.length <= most }
  await context.show(shown, () => describe(shown))
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return USUAL_LIMIT
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > 10_000) throw new CommandFailed('usage', '--limit is a number from 1 to 10000')
  return limit
}

function describe({ items, searched, unreadable, withheld, whole }: Searched): string {
  const notes = [
    `${items.length === 0 ? 'Nothing found' : `Found in ${count(items.length, 'session')}`}; ${count(searched, 'recording')} looked into.`,
    ...(whole ? [] : ['Older sessions were not looked at: give a larger --limit, or narrow by --user or --on.']),
    ...(withheld === 0
      ? []
      : [`${count(withheld, 'recording')} of others: sign in with a second factor to search them.`]),
    ...unreadable.map((id) => `${id}: its recording cannot be read; sallyctl audit verify checks everything`),
  ]
  return [...items.flatMap(describeFound), ...notes].join('\n')
}

const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`

function describeFound({ session, matches, more }: Found): string[] {
  const head = `${session.id}  ${localTime(session.startedAt)}  ${session.user} on ${session.login}@${session.resource.name}`
  const lines = matches.map(({ number, excerpt }) => `  ${number === null ? '' : `#${number} `}${excerpt}`)
  return [head, ...lines, ...(more > 0 ? [`  and ${more} more`] : [])].map(harmless).concat('')
}
