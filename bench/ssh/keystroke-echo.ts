import { setTimeout as pause } from 'node:timers/promises'
import { once } from 'node:events'
import { start, type RunningProgram } from '../../test/support/run.ts'
import { compare, median, type Row } from '../support/ratio-table.ts'
import { ssh, type Hosts, type SshHost } from './ssh-host.ts'

/** Added to a direct connection's p50 by us, against what others add; one ratio per run of `keys` keystrokes. */
export async function keystrokeEcho(hosts: Hosts, keys: number, runs: number): Promise<Row[]> {
  const all = [hosts.direct, hosts.jump, hosts.forwarded, hosts.sallyport]
  const terminals = await Promise.all(all.map(openEcho))
  const added = { jump: [] as number[], forwarded: [] as number[], ours: [] as number[] }
  try {
    for (let round = 0; round < runs; round++) {
      const [direct = Number.NaN, jump = Number.NaN, forwarded = Number.NaN, ours = Number.NaN] = await medians(
        terminals,
        keys,
      )
      added.jump.push(jump - direct)
      added.forwarded.push(forwarded - direct)
      added.ours.push(ours - direct)
    }
  } finally {
    await Promise.all(terminals.map((terminal) => terminal.stop()))
  }
  const row = { case: `added keystroke echo p50, ${keys} keys`, ours: added.ours, better: 'lower', unit: 'ms' } as const
  return [
    compare({ ...row, peer: 'ProxyJump', theirs: added.jump, goal: 1 }),
    compare({ ...row, peer: 'bare forwarder', theirs: added.forwarded, goal: 0 }),
  ]
}

async function openEcho(host: SshHost): Promise<RunningProgram> {
  const [program = '', ...args] = ssh(host, 'stty raw -echo; echo READY; exec cat')
  const terminal = start(program, ['-tt', ...args])
  await terminal.prints(/READY\s/)
  return terminal
}

async function medians(terminals: readonly RunningProgram[], keys: number): Promise<number[]> {
  const times = terminals.map((): number[] => [])
  for (let key = 0; key < keys; key++) {
    const order = terminals
      .map((terminal, index) => ({ terminal, index, at: Math.random() }))
      .sort((a, b) => a.at - b.at)
    for (const { terminal, index } of order) {
      const { stdout } = terminal.child
      if (!stdout) throw new Error('no stdout')
      const echoed = once(stdout, 'data')
      const typed = performance.now()
      terminal.write('k')
      await echoed
      times[index]?.push(performance.now() - typed)
    }
    // As a person's typing: the machine is idle between two keys.
    await pause(1)
  }
  return times.map(median)
}
