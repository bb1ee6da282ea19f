import { writeFileSync } from 'node:fs'
import { connects } from '../../src/main/demo/free-port.ts'
import { freePort } from '../../test/support/free-port.ts'
import { start } from '../../test/support/run.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import { until } from '../../test/support/until.ts'

export interface ForwardingPeer extends AsyncDisposable {
  readonly port: number
  readonly pid: number
}

/** TCP mode, one thread: bytes as they come, TLS passes through. */
export async function startHaproxy(folder: TempFolder, to: number): Promise<ForwardingPeer> {
  const port = await freePort()
  const file = folder.file('haproxy.cfg')
  const lines = [
    'global',
    '  maxconn 4000',
    '  nbthread 1',
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 1h',
  ]
  const listen = ['  timeout server 1h', 'listen db', `  bind 127.0.0.1:${port}`, `  server one 127.0.0.1:${to}`, '']
  writeFileSync(file, [...lines, ...listen].join('\n'))
  const program = start('haproxy', ['-db', '-f', file])
  await until('haproxy', () => connects(port))
  return { port, pid: program.pid, [Symbol.asyncDispose]: async () => void (await program.stop()) }
}
