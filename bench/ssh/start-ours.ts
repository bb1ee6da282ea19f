import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { startDaemonProcess } from '../../src/main/demo/daemon-process.ts'
import { layoutOf, type Layout } from '../../src/main/demo/layout.ts'
import { enrol } from '../../src/main/demo/people.ts'
import { bundledPrograms, type Programs } from '../../src/main/demo/wrappers.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import type { Target } from './peers.ts'
import type { SshHost } from './ssh-host.ts'

export interface Ours extends AsyncDisposable {
  readonly host: SshHost
  readonly pid: number
  readonly programs: Programs
  readonly layout: Layout
}

/** The daemon in its default configuration (recording strict), with one account whose own role reaches the target. */
export async function startOurs(folder: TempFolder, target: Target): Promise<Ours> {
  const layout = layoutOf(folder.file('sallyport'))
  const programs = bundledPrograms(resolve(import.meta.dirname, '../..'))
  const daemon = await startDaemonProcess(systemClock, layout, programs)
  try {
    const { items } = await daemon.api.listAuthorities({})
    target.trust(items.find(({ kind, state }) => kind === 'onward-ssh' && state === 'active')?.public ?? '')
    const login = userInfo().username
    const spec = { allow: { logins: [login], node_labels: { '*': '*' } } }
    for (const document of [
      { kind: 'role', metadata: { name: 'engineer' }, spec },
      {
        kind: 'node',
        metadata: { name: 'db-box' },
        spec: { address: `127.0.0.1:${target.port}`, host_key: target.hostKey },
      },
    ])
      await daemon.api.createDocument({ body: { document } })
    await enrol({ name: 'alice', roles: ['engineer'], traits: {} }, layout, programs, daemon.api)
    const config = `${layout.account('alice').home}/ssh_config`
    return {
      host: { name: 'Sallyport', options: ['-F', config, '-o', 'LogLevel=ERROR'], destination: 'db-box' },
      pid: daemon.pid,
      programs,
      layout,
      [Symbol.asyncDispose]: () => daemon.stop(),
    }
  } catch (error) {
    await daemon.stop()
    throw error
  }
}
