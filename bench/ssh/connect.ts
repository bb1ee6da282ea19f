import { run } from '../../test/support/run.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { interleaved, ssh, type Hosts, type SshHost } from './ssh-host.ts'

/** `ssh db-box true` from start to end. */
export async function connect(hosts: Hosts, runs: number): Promise<Row[]> {
  const times = new Map<SshHost, number[]>([hosts.direct, hosts.jump, hosts.sallyport].map((host) => [host, []]))
  for (let round = 0; round < runs; round++) {
    for (const host of interleaved([...times.keys()], round)) {
      const [program = '', ...args] = ssh(host, 'true')
      const started = performance.now()
      const done = await run(program, args)
      if (done.code !== 0) throw new Error(`${host.name}: ${done.stderr}`)
      times.get(host)?.push(performance.now() - started)
    }
  }
  const [direct = [], jump = [], ours = []] = [...times.values()]
  const shared = { case: 'ssh db-box true', ours, unit: 'ms', better: 'lower', goal: 1 } as const
  return [
    compare({ ...shared, peer: 'direct', theirs: direct }),
    compare({ ...shared, peer: 'ProxyJump', theirs: jump }),
  ]
}
