import type { Client, ClientOptions } from '../../contract/client.ts'
import { CommandFailed } from './command-failed.ts'
import type { CommandContext, Dial } from './command-context.ts'
import { requireAccount } from './profile.ts'
import type { OpenTransport } from './proxy-transport.ts'

/** Where the daemon puts its admin socket unless its configuration says otherwise. */
const DEFAULT_SOCKET = '/var/lib/sallyport/admin/sallyport.sock'

/** The API of this machine's profile or admin socket. HTTP, TLS and schemas are loaded at the first use. */
export function systemDial(): Dial {
  const open: OpenTransport[] = []
  const keep = (each: OpenTransport): OpenTransport => {
    open.push(each)
    return each
  }
  const client = async ({ transport }: OpenTransport, options: ClientOptions): Promise<Client> => {
    const { createClient } = await import('../../contract/client.ts')
    return createClient(transport, options)
  }
  const dial: Dial = {
    async signedIn(context) {
      const { proxy, account } = await requireAccount(context.profiles, context.terminal.clock.now())
      const stepUpCode = stepUpBy(context)
      return client(keep(await context.openProxy(proxy)), { token: account.token, stepUpCode })
    },
    async operator(context) {
      const { isSocket, socketTransport } = await import('./socket-transport.ts')
      const path = context.socket ?? DEFAULT_SOCKET
      if (await isSocket(path)) return client(keep(socketTransport(path)), {})
      if (context.socket !== undefined)
        throw new CommandFailed('failed', `no daemon listens at ${path}`, 'Is it running? Try: sallyctl doctor')
      return dial.signedIn(context)
    },
    close() {
      for (const each of open.splice(0)) each.close()
    },
  }
  return dial
}

/** Asks for a code, naming the deed that it will be bound to. */
export function stepUpBy(context: CommandContext): NonNullable<ClientOptions['stepUpCode']> {
  return ({ method, path }) => context.secondFactorCode(`Code of your authenticator app, for ${method} ${path}`)
}
