import { readFile } from 'node:fs/promises'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { harmless } from '../../shared/harmless.ts'
import { requireAccount } from '../../shared/profile.ts'
import { openLocalPort } from './local-port.ts'
import { signInToDatabase } from './sign-in-to-database.ts'

/** Runs until it is interrupted. */
export async function proxyDatabase(context: CommandContext, database: string, portText: string): Promise<number> {
  const wanted = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || wanted > 65_535)
    throw new CommandFailed(
      'usage',
      `"${portText.slice(0, 20)}" is no port`,
      'Give --port=5433, or 0 for any that is free.',
    )
  const { proxy } = await requireAccount(context.profiles, context.terminal.clock.now())
  const api = await context.dial.signedIn(context)
  const { settings, issued } = await signInToDatabase(context, api, { database, dbUser: undefined, dbName: undefined })
  const { host, port, protocol, files } = settings
  const local = await openLocalPort(wanted, {
    protocol,
    proxy: { host, port, name: proxy.name },
    credentials: { ca: issued.serverAuthority, cert: issued.certificate, key: await readFile(files.key, 'utf8') },
    onRefused: (why) => context.warn(harmless(why)),
  }).catch((error: NodeJS.ErrnoException) => {
    throw new CommandFailed('failed', `127.0.0.1:${wanted} cannot be listened on: ${error.code ?? error.message}`)
  })
  const data = {
    database: settings.database,
    protocol,
    host: '127.0.0.1',
    port: local.port,
    expiresAt: issued.expiresAt,
  }
  await context.show(data, () => `${settings.database} is at 127.0.0.1:${local.port} until you press Ctrl-C.`)
  await interrupted(context.terminal.interrupted)
  local.close()
  return 0
}

const interrupted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
