import { closeSync, openSync, rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { compare, type Row } from '../support/ratio-table.ts'
import { interleaved, ssh, type Hosts, type SshHost } from './ssh-host.ts'

interface Transfer {
  readonly name: string
  readonly command: (host: SshHost) => readonly string[]
  readonly stdin?: string
}

const GOAL = 1.3

/** `file` is that many MiB long and stands on both sides, which are one machine. */
export async function throughput(hosts: Hosts, file: string, mib: number, runs: number): Promise<Row[]> {
  const copy = `${file}.copy`
  const transfers: readonly Transfer[] = [
    { name: 'exec download', command: (host) => ssh(host, `cat '${file}'`) },
    { name: 'exec upload', command: (host) => ssh(host, 'cat >/dev/null'), stdin: file },
    { name: 'scp down', command: (host) => ['scp', '-q', ...host.options, `${host.destination}:${file}`, copy] },
    { name: 'scp up', command: (host) => ['scp', '-q', ...host.options, file, `${host.destination}:${copy}`] },
  ]
  const rows: Row[] = []
  for (const transfer of transfers) {
    const speeds = new Map<SshHost, number[]>([hosts.direct, hosts.jump, hosts.sallyport].map((host) => [host, []]))
    for (let round = 0; round < runs; round++) {
      for (const host of interleaved([...speeds.keys()], round)) {
        speeds.get(host)?.push(mib / (await seconds(transfer, host)))
        rmSync(copy, { force: true })
      }
    }
    const [direct = [], jump = [], ours = []] = [...speeds.values()]
    const shared = { case: `${transfer.name} ${mib}M`, ours, unit: 'MiB/s', better: 'higher' } as const
    rows.push(compare({ ...shared, peer: 'ProxyJump', theirs: jump, goal: GOAL }))
    rows.push(compare({ ...shared, peer: 'direct', theirs: direct, goal: 0 }))
  }
  return rows
}

async function seconds({ command, stdin }: Transfer, host: SshHost): Promise<number> {
  const [program = '', ...args] = command(host)
  const input = openSync(stdin ?? '/dev/null', 'r')
  const output = openSync('/dev/null', 'w')
  const started = performance.now()
  const child = spawn(program, args, { stdio: [input, output, 'pipe'] })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  const taken = (performance.now() - started) / 1000
  closeSync(input)
  closeSync(output)
  if (code !== 0) throw new Error(`${host.name}: ${program} ended with ${code}: ${complaint}`)
  return taken
}
