import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { socketTransport } from '../../cli/shared/socket-transport.ts'
import { createClient, type Client } from '../../contract/client.ts'
import { sleep, type Clock } from '../../foundation/clock.ts'
import { startServer, type Server } from './child.ts'
import { connects, freePort } from './free-port.ts'
import type { Layout } from './layout.ts'
import type { Programs } from './wrappers.ts'

export interface DaemonProcess extends Server {
  readonly port: number
  /** Over the admin socket, as the local admin. */
  readonly api: Client
}

/**
 * Starts the daemon over the layout's folders and waits until its admin socket answers. `wanted`: the port to take if it is
 * free. `settings`: more lines of its configuration.
 */
export async function startDaemonProcess(
  clock: Clock,
  layout: Layout,
  programs: Programs,
  wanted = 0,
  settings: readonly string[] = [],
): Promise<DaemonProcess> {
  mkdirSync(layout.folder, { recursive: true, mode: 0o700 })
  const port = await freePort(wanted)
  writeFileSync(layout.configFile, [...config(layout, port), ...settings, ''].join('\n'))
  const command = [...programs.sallyport, 'start', `--config=${layout.configFile}`] as const
  const server = startServer(clock, command, { log: layout.daemonLog, env: { PATH: process.env['PATH'] ?? '' } })
  const admin = socketTransport(layout.adminSocket)
  const api = createClient(admin.transport)
  const stop = async (): Promise<void> => {
    admin.close()
    await server.stop()
  }
  const giveUp = new AbortController()
  try {
    await Promise.race([server.failed, answers(clock, api, port, giveUp.signal)])
  } catch (error) {
    giveUp.abort(error)
    await stop()
    throw new Error(
      `the daemon did not start: ${String(error)}\n${readFileSync(layout.daemonLog, 'utf8').slice(-2000)}`,
      {
        cause: error,
      },
    )
  }
  return { ...server, stop, port, api }
}

const config = (layout: Layout, port: number): readonly string[] => [
  '# Every key is explained in docs/configuration.md.',
  `data_dir: ${JSON.stringify(layout.dataFolder)}`,
  `listen: 127.0.0.1:${port}`,
]

async function answers(clock: Clock, api: Client, port: number, signal: AbortSignal): Promise<void> {
  const deadline = clock.monotonic() + 20_000
  for (;;) {
    try {
      await api.ping({})
      if (await connects(port)) return
      throw new Error(`nobody answers on port ${port}`)
    } catch (error) {
      if (clock.monotonic() > deadline) throw error
      await sleep(clock, 30, signal)
    }
  }
}
