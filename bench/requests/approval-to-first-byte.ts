import { chmodSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { openProfiles, requireAccount } from '../../src/cli/shared/profile.ts'
import { proxyTransport } from '../../src/cli/shared/proxy-transport.ts'
import { createClient, type Client } from '../../src/contract/client.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { startDaemonProcess } from '../../src/main/demo/daemon-process.ts'
import { layoutOf } from '../../src/main/demo/layout.ts'
import { enrol } from '../../src/main/demo/people.ts'
import { bundledPrograms } from '../../src/main/demo/wrappers.ts'
import { start } from '../../test/support/run.ts'
import { tempFolder, type TempFolder } from '../../test/support/temp-folder.ts'
import { until } from '../../test/support/until.ts'
import { createIdentity, startTarget, type Target } from '../ssh/peers.ts'
import { compare, type Row } from '../support/ratio-table.ts'

const CASE = 'approval to the first byte of a waiting ssh'
const GOAL_MS = 100
/** Below the 20 requests that a user may file in an hour */
export const RUNS_PER_USER = 18

/**
 * A stock ssh was refused, has asked and waits. From the moment the reviewer's vote is sent to the daemon until the first
 * byte of the remote command comes out of ssh: the vote's transaction, the news, authorize, the sign-in at the target's
 * sshd and its shell are all in it. The second row is measured beside it: a new `ssh` straight to the same target.
 */
export async function measureApprovalToFirstByte(runs: number): Promise<Row[]> {
  using folder = tempFolder('bench-asking')
  createIdentity(folder)
  await using target = await startTarget(folder, 'target')
  const layout = layoutOf(folder.file('sallyport'))
  const programs = bundledPrograms(resolve(import.meta.dirname, '../..'))
  const daemon = await startDaemonProcess(systemClock, layout, programs)
  try {
    const { items } = await daemon.api.listAuthorities({})
    target.trust(items.find(({ kind, state }) => kind === 'onward-ssh' && state === 'active')?.public ?? '')
    for (const document of accessDocuments(target)) await daemon.api.createDocument({ body: { document } })
    const names = Array.from({ length: Math.ceil(runs / RUNS_PER_USER) }, (_, index) => `alice${index}`)
    for (const name of names) await enrol({ name, roles: ['engineer'], traits: {} }, layout, programs, daemon.api)
    await enrol({ name: 'bob', roles: ['reviewer'], traits: {} }, layout, programs, daemon.api)
    const reviewer = await apiOf(layout.account('bob').home)
    const times: number[] = []
    const direct: number[] = []
    for (let run = 0; run < runs; run++) {
      const name = names[run % names.length] ?? ''
      times.push(await approvalToFirstByte(layout.account(name).home, reviewer))
      direct.push(await straight(folder, target))
    }
    const shared = { case: CASE, ours: times, unit: 'ms', better: 'lower', goal: 1 } as const
    return [
      compare({ ...shared, peer: 'limit', theirs: GOAL_MS }),
      compare({ ...shared, peer: 'a new direct ssh', theirs: direct }),
    ]
  } finally {
    await daemon.stop()
  }
}

/** Roles dba, engineer (who may ask for it and is asked inside ssh) and reviewer, and the node db-box. */
export const accessDocuments = ({ port, hostKey }: Pick<Target, 'port' | 'hostKey'>): readonly unknown[] => {
  const role = (name: string, allow: object, options: object = {}): unknown => ({
    ...{ kind: 'role', metadata: { name } },
    spec: { allow, options },
  })
  return [
    role('dba', { logins: [userInfo().username], node_labels: { '*': '*' } }),
    role('engineer', { request: { roles: ['dba'] } }, { request_on_denied: true }),
    role('reviewer', { review_requests: { roles: ['dba'] } }),
    {
      ...{ kind: 'node', metadata: { name: 'db-box' } },
      spec: { address: `127.0.0.1:${port}`, host_key: hostKey },
    },
  ]
}

/** As the account that has signed in there. */
export async function apiOf(home: string): Promise<Client> {
  const { proxy, account } = await requireAccount(openProfiles(home), Date.now())
  return createClient(proxyTransport(proxy).transport, { token: account.token })
}

/** Milliseconds. The grant is given back afterwards. */
export async function approvalToFirstByte(home: string, reviewer: Client): Promise<number> {
  // Answers the question of a refused ssh where nobody sits at a terminal.
  const askpass = `${home}/askpass`
  writeFileSync(askpass, '#!/bin/sh\necho bench\n')
  chmodSync(askpass, 0o700)
  const env = { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', SSH_AUTH_SOCK: undefined }
  await using ssh = start('ssh', ['-F', `${home}/ssh_config`, 'db-box', 'echo in'], { env })
  const [, id = ''] = await ssh.prints(/(req_[0-9a-f-]{36})[\s\S]*Waiting: /)
  const { requestDigest, factsDigest } = await reviewer.showRequest({ params: { id } })
  const inside = new Promise<number>((done) => ssh.child.stdout?.once('data', () => done(performance.now())))
  const sent = performance.now()
  await reviewer.review({ params: { id }, body: { decision: 'approve', requestDigest, factsDigest } })
  const took = (await inside) - sent
  await ssh.finished
  const requester = await apiOf(home)
  await requester.returnGrant({ params: { id } })
  await until(
    'the end of the grant',
    async () => (await requester.showRequest({ params: { id } })).grant?.state === 'ended',
  )
  return took
}

async function straight(folder: TempFolder, target: Target): Promise<number> {
  const known = folder.file('known_hosts')
  writeFileSync(known, `[127.0.0.1]:${target.port} ${target.hostKey}\n`)
  const words = [`UserKnownHostsFile=${known}`, 'StrictHostKeyChecking=yes', 'IdentitiesOnly=yes', 'LogLevel=ERROR']
  const options = words.flatMap((word) => ['-o', word])
  const started = performance.now()
  const where = ['-F', 'none', '-i', folder.file('id'), '-p', String(target.port), ...options, '127.0.0.1']
  await using ssh = start('ssh', [...where, 'echo in'])
  const took = await new Promise<number>((done) =>
    ssh.child.stdout?.once('data', () => done(performance.now() - started)),
  )
  await ssh.finished
  return took
}
