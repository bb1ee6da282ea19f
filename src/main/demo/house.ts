import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { Client } from '../../contract/client.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { Server } from './child.ts'
import { startDaemonProcess } from './daemon-process.ts'
import { nodeDocument, roles } from './documents.ts'
import { freePort } from './free-port.ts'
import type { Layout } from './layout.ts'
import { startNodeServer, type NodeServer } from './node-server.ts'
import { enrol, PEOPLE } from './people.ts'
import { writeOperatorWrappers, type Programs } from './wrappers.ts'

/** The daemon, two nodes and three signed-in accounts. */
export interface House {
  readonly layout: Layout
  readonly port: number
  /** As the local admin. */
  readonly api: Client
  /** Rejects when one of the servers ends by itself. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

const NODES = [
  { name: 'db-box', labels: { env: 'prod', service: 'database' } },
  { name: 'web-box', labels: { env: 'dev', service: 'web' } },
] as const

/** Makes everything anew. What was started is stopped again when something fails. */
export async function buildHouse(clock: Clock, layout: Layout, programs: Programs): Promise<House> {
  stopLeftovers(layout)
  rmSync(layout.folder, { recursive: true, force: true })
  mkdirSync(layout.folder, { recursive: true, mode: 0o700 })
  writeFileSync(layout.pidFile, `${process.pid}\n`)
  const servers: Server[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
    rmSync(layout.pidFile, { force: true })
  }
  try {
    const ports = await Promise.all(NODES.map(() => freePort()))
    const daemon = await startDaemonProcess(clock, layout, programs, 3022)
    const { api, port } = daemon
    servers.push(daemon)
    writeFileSync(layout.serversFile, `${daemon.pid}\n`)
    const nodes = await startNodes(clock, layout, api, ports)
    servers.push(...nodes)
    appendFileSync(layout.serversFile, nodes.map((node) => `${node.pid}\n`).join(''))
    await describeHouse(api, nodes)
    writeOperatorWrappers(layout, programs)
    await Promise.all(PEOPLE.map((person) => enrol(person, layout, programs, api)))
    const failed = Promise.race(servers.map((server) => server.failed))
    failed.catch(() => {})
    return { layout, port, api, failed, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startNodes(
  clock: Clock,
  layout: Layout,
  api: Client,
  ports: readonly number[],
): Promise<readonly NodeServer[]> {
  const { items } = await api.listAuthorities({})
  const onward = items.find((authority) => authority.kind === 'onward-ssh' && authority.state === 'active')
  if (!onward) throw new Error('the daemon names no onward-ssh authority')
  return Promise.all(
    NODES.map(({ name }, index) =>
      startNodeServer(clock, layout, { name, port: ports[index] ?? 0, onwardAuthority: onward.public }),
    ),
  )
}

async function describeHouse(api: Client, nodes: readonly NodeServer[]): Promise<void> {
  const documents = [
    ...roles(userInfo().username),
    ...nodes.map((node) => nodeDocument(node, NODES.find(({ name }) => name === node.name)?.labels ?? {})),
  ]
  for (const document of documents) await api.createDocument({ body: { document } })
}

/** A demo that was killed could not stop its servers: they would go on writing into the folder that is about to be made anew. */
function stopLeftovers(layout: Layout): void {
  for (const line of readOrEmpty(layout.serversFile).split('\n')) {
    const pid = Number(line)
    // The number may belong to somebody else by now; ours name the folder on their command line.
    if (pid <= 1 || !readOrEmpty(`/proc/${pid}/cmdline`).includes(layout.folder)) continue
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Gone in between.
    }
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
