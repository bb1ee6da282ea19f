import { readFile } from 'node:fs/promises'

interface Ends {
  /** Of the peer, as our socket sees it */
  readonly remotePort: number
  readonly localPort: number
}

/**
 * Whether the program at the other end of a connection over 127.0.0.1 runs as this very user. Linux tells it in
 * /proc/net/tcp; null where there is no such thing.
 */
export async function isOwnConnection({ remotePort, localPort }: Ends): Promise<boolean | null> {
  const uid = process.getuid?.()
  const table = await readFile('/proc/net/tcp', 'latin1').catch(() => null)
  return uid === undefined || table === null ? null : uidOf(table, remotePort, localPort) === uid
}

//   sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid ...
//    0: 0100007F:8A1C 0100007F:1539 01 00000000:00000000 00:00000000 00000000  1000
export function uidOf(table: string, fromPort: number, toPort: number): number | null {
  const end = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const line of table.split('\n')) {
    const [, local, remote, , , , , uid] = line.trim().split(/\s+/)
    if (local === end(fromPort) && remote === end(toPort)) return Number(uid)
  }
  return null
}
