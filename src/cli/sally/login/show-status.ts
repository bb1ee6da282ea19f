import type { CommandContext } from '../../shared/command-context.ts'
import { localTime } from '../../shared/format-time.ts'
import { requireAccount } from '../../shared/profile.ts'
import { renderFields } from '../../shared/table.ts'

export async function showStatus(context: CommandContext): Promise<void> {
  const { proxy } = await requireAccount(context.profiles, context.terminal.clock.now())
  const api = await context.dial.signedIn(context)
  const me = await api.me({})
  const grants = me.grants.map(
    (grant) =>
      `${grant.roles.join(', ')} until ${localTime(grant.endsAt)} (${grant.state}, request ${grant.requestId})`,
  )
  await context.show({ proxy: `${proxy.host}:${proxy.port}`, ...me }, () =>
    renderFields([
      ['Proxy', `${proxy.host}:${proxy.port}`],
      ['User', me.user.name],
      ['Own roles', me.user.roles.length === 0 ? 'none' : me.user.roles.join(', ')],
      ['Second factor', me.user.secondFactor ? 'yes' : 'none: sally mfa add'],
      ['Login', `${me.login.id} on ${me.login.device}, until ${localTime(me.login.expiresAt)}`],
      ['Grants', grants.length === 0 ? ['none'] : grants],
      ['May review', me.canReview ? 'yes: sally request ls --reviewable' : 'no'],
    ]),
  )
}
