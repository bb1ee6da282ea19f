import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import type { Proxy } from '../../shared/profile.ts'
import { meetProxy, parseAddress, parsePin, pinOfPem, pingVerified } from '../../shared/first-contact.ts'

/** As much of a command's context as trusting takes. */
export interface TrustContext extends Pick<CommandContext, 'warn' | 'openProxy'> {
  readonly terminal: { readonly interactive: boolean }
  readonly prompt: Pick<CommandContext['prompt'], 'confirm'>
}

/** The proxy to sign in to: the known one, or a new one whose authority is pinned or compared by a person. */
export async function trustProxy(
  context: TrustContext,
  known: Proxy | null,
  options: { readonly proxy: string | undefined; readonly caPin: string | undefined },
): Promise<Proxy> {
  const address = options.proxy === undefined ? known : parseAddress(options.proxy)
  if (address === null) throw new CommandFailed('usage', 'which proxy?', 'Give --proxy=HOST:PORT the first time.')
  const pin = options.caPin === undefined ? undefined : parsePin(options.caPin)
  if (known !== null && known.host === address.host && known.port === address.port) {
    if (pin === undefined) return refreshKnown(context, known)
    if (pin === pinOfPem(known.tlsAuthority)) return refreshKnown(context, known)
  }
  const where = `${address.host}:${address.port}`
  return meetProxy(address, context.openProxy, (seen) => accept(context, where, seen, pin))
}

async function refreshKnown(context: TrustContext, known: Proxy): Promise<Proxy> {
  const now = await pingVerified(known, context.openProxy)
  return { ...known, ...now }
}

async function accept(context: TrustContext, where: string, seen: string, pin: string | undefined): Promise<boolean> {
  if (pin !== undefined) {
    if (pin === seen) return true
    throw new CommandFailed(
      'notAllowed',
      `the authority of ${where} is not the one that the pin names`,
      'Somebody may sit between you and the proxy, or the pin is of another installation.',
    )
  }
  if (!context.terminal.interactive)
    throw new CommandFailed(
      'usage',
      `${where} is not known yet`,
      'Give --ca-pin=sha256:...; `sallyport start` and every invitation print it.',
    )
  context.warn(`${where} has the authority ${seen}`)
  return context.prompt.confirm('Is this the fingerprint that you were given?')
}
