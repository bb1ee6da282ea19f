import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { ManualClock } from '../../../test/support/manual-clock.ts'
import { silentLog } from '../../foundation/log.ts'
import type { Arrival } from './listener.ts'
import { TlsToApi } from './tls-to-api.ts'

test('one address cannot fill the port with connections to the API, and what it closes it may open again', async () => {
  const tls = new TlsToApi(new ManualClock(), silentLog)
  tls.configure({ tls: { keyPem: '', certificatePem: '' }, webTls: null, apiSocket: '/nowhere' })
  const serve = (address: string): Socket => {
    const arrival: Arrival = { socket: new Socket(), address, port: 1, signedIn: () => {} }
    arrival.socket.on('error', () => {})
    tls.serve(arrival, { serverName: null, alpn: [] })
    return arrival.socket
  }
  const open = Array.from({ length: 256 }, () => serve('192.0.2.1'))
  expect(open.some((socket) => socket.destroyed)).toBe(false)
  expect(serve('192.0.2.1').destroyed).toBe(true)
  const other = serve('192.0.2.2')
  expect(other.destroyed).toBe(false)
  const closed = new Promise((resolve) => open[0]?.once('close', resolve))
  open[0]?.destroy()
  await closed
  const again = serve('192.0.2.1')
  expect(again.destroyed).toBe(false)
  for (const socket of [...open, other, again]) socket.destroy()
})
