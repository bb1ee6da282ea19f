import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import type { Clock } from '../foundation/clock.ts'

// First line of every connection on the API's socket, written by the relay worker that ended TLS:
//   "PEER " address " " port "\n"        (at most 64 bytes, within one second; HTTP bytes follow)
// It is the only source of a caller's address: X-Forwarded-For, Forwarded and the PROXY protocol are not looked at.

const LONGEST = 64
const DEADLINE_MS = 1000

export interface Peer {
  readonly address: string
  readonly port: number
}

/** null: not a PEER line. `line` without its line feed. */
export function parsePeerLine(line: string): Peer | null {
  const match = /^PEER ([0-9a-fA-F.:]{2,45}) ([0-9]{1,5})$/.exec(line)
  const [, address = '', portText = ''] = match ?? []
  const port = Number(portText)
  if (isIP(address) === 0 || port > 65_535) return null
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return { address: mapped?.[1] ?? address.toLowerCase(), port }
}

/** Takes the line off the connection; what follows it stays to be read. null: wrong, late or cut; the caller closes. */
export function takePeerLine(socket: Socket, clock: Clock): Promise<Peer | null> {
  return new Promise((resolve) => {
    let seen = Buffer.alloc(0)
    const timer = clock.after(DEADLINE_MS, () => settle(null))
    const settle = (peer: Peer | null): void => {
      timer.cancel()
      socket.off('readable', read)
      socket.off('end', fail)
      socket.off('error', fail)
      socket.off('close', fail)
      resolve(peer)
    }
    const fail = (): void => settle(null)
    const read = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
        seen = Buffer.concat([seen, chunk])
        const end = seen.subarray(0, LONGEST).indexOf(0x0a)
        if (end === -1 && seen.length < LONGEST) continue
        const peer = end === -1 ? null : parsePeerLine(seen.toString('latin1', 0, end))
        const rest = seen.subarray(end + 1)
        settle(peer)
        if (peer && rest.length > 0) socket.unshift(rest)
        return
      }
    }
    socket.on('readable', read)
    socket.on('end', fail)
    socket.on('error', fail)
    socket.on('close', fail)
  })
}
