import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'

export interface Balancer extends AsyncDisposable {
  readonly port: number
  /** Where the next connections go */
  to(port: number): void
}

/** One port before several daemons, as a TCP balancer has it; tests say where each connection goes. */
export async function startBalancer(first: number): Promise<Balancer> {
  let target = first
  const server = createServer((socket) => {
    const onward = connect(target, '127.0.0.1')
    for (const [from, into] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.pipe(into)
      from.on('error', () => into.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    to: (port) => void (target = port),
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}
