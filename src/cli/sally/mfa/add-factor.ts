import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { refreshSshConfig } from '../config/refresh-ssh-config.ts'

export interface AddFactorOptions {
  readonly name: string | undefined
  readonly secretOnly: boolean
  readonly confirm: string | undefined
}

/** Nothing counts until a code has shown that the app holds the secret. */
export async function addFactor(context: CommandContext, options: AddFactorOptions): Promise<void> {
  const api = await context.dial.signedIn(context)
  if (options.confirm !== undefined) {
    const id = options.confirm
    const code = await context.secondFactorCode('The code that the app shows now')
    await api.confirmTotp({ params: { id }, body: { code } })
    await refreshSshConfig(context, api)
    return context.show({ id, confirmed: true }, () => 'The second factor is in use.')
  }
  const added = await api.addTotp({ body: { name: options.name ?? 'authenticator' } })
  if (options.secretOnly || !context.terminal.interactive) {
    await context.show(added, () => `Secret: ${added.secret}\nURI:    ${added.uri}\nId:     ${added.id}`)
    context.warn(`it does not count yet. Run: sally mfa add --confirm=${added.id} --code=DIGITS`)
    return
  }
  context.warn(`enter this secret in your authenticator app: ${added.secret}`)
  context.warn(`or open: ${added.uri}`)
  const code = (await context.prompt.text('The code that the app shows now')).trim()
  if (code === '') throw new CommandFailed('usage', 'no code was given; the factor was not added')
  await api.confirmTotp({ params: { id: added.id }, body: { code } })
  await refreshSshConfig(context, api)
  await context.show({ id: added.id, confirmed: true }, () => 'The second factor is in use.')
}
