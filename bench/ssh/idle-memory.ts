import { setTimeout as pause } from 'node:timers/promises'
import { start, type RunningProgram } from '../../test/support/run.ts'
import { residentKiB } from '../support/process-cost.ts'
import { compare, type Row } from '../support/ratio-table.ts'
import { ssh, type SshHost } from './ssh-host.ts'

const LIMIT_KIB = 100
const AT_ONCE = 8

/** Growth of the daemon's resident memory (all its processes) per open shell that does nothing. */
export async function idleMemory(host: SshHost, daemonPid: number, sessions: number): Promise<Row[]> {
  const open: RunningProgram[] = []
  try {
    // What the first connections load stays for all: it is no session's own.
    await openSessions(host, 20, open)
    await Promise.all(open.splice(0).map((session) => session.stop()))
    await pause(3000)
    const before = residentKiB(daemonPid)
    await openSessions(host, sessions, open)
    await pause(5000)
    const each = (residentKiB(daemonPid) - before) / sessions
    return [
      compare({
        case: `memory of an idle session, over ${sessions}`,
        peer: 'limit',
        ours: [each],
        theirs: LIMIT_KIB,
        goal: 1,
        better: 'lower',
        unit: 'KiB',
      }),
    ]
  } finally {
    await Promise.all(open.map((session) => session.stop()))
  }
}

async function openSessions(host: SshHost, count: number, open: RunningProgram[]): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - opened) }, () => {
      const [program = '', ...args] = ssh(host, 'echo READY; exec cat')
      const session = start(program, ['-tt', ...args])
      open.push(session)
      return session
    })
    await Promise.all(batch.map((session) => session.prints(/READY\s/)))
  }
}
