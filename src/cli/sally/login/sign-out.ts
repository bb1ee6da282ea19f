import { ApiError } from '../../../contract/api-error.ts'
import { forgetDatabases } from '../db/login-database.ts'
import type { CommandContext } from '../../shared/command-context.ts'

/** Ends the login at the proxy, then forgets it here; a login that has ended already is forgotten all the same. */
export async function signOut(context: CommandContext): Promise<void> {
  const profile = await context.profiles.load()
  if (profile === null || profile.account === null)
    return context.show({ ended: false }, () => 'You were not signed in.')
  const { account, proxy } = profile
  if (account.expiresAt > context.terminal.clock.now()) await endAtProxy(context, account.loginId)
  for (const file of ['id', 'id.pub', 'id-cert.pub', 'ssh_config'] as const) await context.profiles.remove(file)
  await forgetDatabases(context)
  await context.profiles.save({ proxy, account: null })
  await context.show({ ended: true, login: account.loginId }, () => `${account.user} is signed out.`)
}

async function endAtProxy(context: CommandContext, loginId: string): Promise<void> {
  const api = await context.dial.signedIn(context)
  try {
    await api.endLogin({ params: { id: loginId } })
  } catch (error) {
    if (!(error instanceof ApiError) || !['login_ended', 'not_signed_in', 'not_found'].includes(error.code)) throw error
  }
}
