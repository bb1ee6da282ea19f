import { openProfiles } from '../../src/cli/shared/profile.ts'
import { proxyTransport } from '../../src/cli/shared/proxy-transport.ts'
import { createClient, type Client } from '../../src/contract/client.ts'

/** The API as whoever is signed in on that device, over TLS through a relay worker. */
export async function asAccount<T>(
  account: { readonly name: string; readonly home: string },
  work: (api: Client) => Promise<T>,
): Promise<T> {
  const profile = await openProfiles(account.home).load()
  if (!profile?.account) throw new Error(`${account.name} is not signed in`)
  const open = proxyTransport(profile.proxy)
  try {
    return await work(createClient(open.transport, { token: profile.account.token }))
  } finally {
    open.close()
  }
}
