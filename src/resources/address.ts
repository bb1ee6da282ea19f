import { isIP } from 'node:net'
import { Refused } from '../foundation/errors.ts'

/** Takes `host:port` and `[2001:db8::1]:port` as they are. Errors: Refused('malformed'). */
export function checkAddress(address: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})))(?::(\d{1,5}))$/.exec(address)
  const [, v6, host, portText] = match ?? []
  const port = Number(portText)
  const isHost = v6 === undefined ? host !== undefined : isIP(v6) === 6
  if (!isHost || port < 1 || port > 65_535)
    throw new Refused('malformed', `spec.address: "${address.slice(0, 60)}" is not HOST:PORT`)
  return address
}

/** `[2001:db8::1]:5432` -> `2001:db8::1`, 5432 */
export function splitAddress(address: string): [host: string, port: number] {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  return [host.startsWith('[') ? host.slice(1, -1) : host, Number(address.slice(at + 1))]
}
