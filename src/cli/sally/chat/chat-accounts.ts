import type { ChatAccount } from '../../../contract/chat-account.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import { renderTable, type Column } from '../../shared/table.ts'

/** Shows whose account it is before anything is linked: a code may have come from somebody else. */
export async function linkAccount(context: CommandContext, code: string, yes: boolean): Promise<void> {
  const api = await context.dial.signedIn(context)
  const offer = await api.lookAtChatLink({ params: { code: code.trim() } })
  const whose = harmless(`${offer.name} (${offer.externalId}) at ${offer.vendor}, ${offer.tenant}`)
  context.progress(`This code was shown to: ${whose}`)
  if (offer.linked === 'other') context.warn('that account is linked with another user, who will lose it')
  if (!yes) {
    if (!context.terminal.interactive)
      throw new CommandFailed('usage', 'nobody is there to be asked', 'Add --yes if this is your own account.')
    if (!(await context.prompt.confirm('Is it your own account? What it does in chat is then done as you.'))) {
      await context.show({ linked: false }, () => 'Nothing was linked.')
      return
    }
  }
  const linked = await api.linkChatAccount({ body: { code: code.trim() } })
  await context.show(linked, () => harmless(`${linked.name} at ${linked.vendor} acts as you now (${linked.id}).`))
}

const COLUMNS: readonly Column<ChatAccount>[] = [
  { head: 'Account', cell: (each) => each.id },
  { head: 'User', cell: (each) => each.user },
  { head: 'Integration', cell: (each) => each.integration },
  { head: 'Name there', cell: (each) => harmless(each.name), shrinks: true },
  { head: 'Id there', cell: (each) => harmless(each.externalId), shrinks: true },
  { head: 'Since', cell: (each) => localTime(each.linkedAt) },
]

export async function listAccounts(context: CommandContext, all: boolean): Promise<void> {
  const api = await context.dial.signedIn(context)
  const { items } = await api.listChatAccounts({ query: all ? { all: 'true' } : {} })
  const width = context.terminal.stdout.columns
  const none = 'No account is linked. Type /access link in chat.'
  await context.show(items, () => (items.length === 0 ? none : renderTable(COLUMNS, items, width)))
}

export async function unlinkAccount(context: CommandContext, id: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  await api.unlinkChatAccount({ params: { id } })
  await context.show({ unlinked: id }, () => harmless(`${id} does nothing any more.`))
}
