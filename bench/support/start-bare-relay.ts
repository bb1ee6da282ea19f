import { join } from 'node:path'
import { freePort } from '../../test/support/free-port.ts'
import { start } from '../../test/support/run.ts'
import { until } from '../../test/support/until.ts'
import type { ForwardingPeer } from './haproxy.ts'

interface Leaf {
  readonly certificate: string
  readonly key: string
}

export interface BareRelayFiles {
  readonly authority: string
  readonly server: Leaf
  readonly client: Leaf
}

/** `files`: paths of PEM files. */
export async function startBareRelay(
  protocol: 'postgres' | 'mysql',
  serverPort: number,
  files: BareRelayFiles,
): Promise<ForwardingPeer> {
  const port = await freePort()
  const { authority, server, client } = files
  const paths = [authority, server.certificate, server.key, client.certificate, client.key]
  const program = start(process.execPath, [
    join(import.meta.dirname, 'bare-relay.ts'),
    ...[protocol, String(port), String(serverPort), ...paths],
  ])
  await until('the bare relay', () => {
    if (program.child.exitCode !== null) throw new Error(`the bare relay ended: ${program.stderr()}`)
    return program.stdout().includes('READY')
  })
  return { port, pid: program.pid, [Symbol.asyncDispose]: async () => void (await program.stop()) }
}
