import { EXIT } from '../../../contract/errors.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { harmless } from '../../shared/harmless.ts'

interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly says: string
}

/** Each check by itself, so that one failure does not hide the next. */
export async function examine(context: CommandContext): Promise<number> {
  const findings = [
    await find('Node.js', async () => {
      if (Number(process.versions.node.split('.')[0]) < 24) throw new Error(`${process.version}: 24 or later is needed`)
      return process.version
    }),
    await find('profile', async () => {
      const profile = await context.profiles.load()
      return profile?.account ? `signed in as ${profile.account.user}` : 'nobody is signed in here'
    }),
    await find('daemon', async () => {
      const api = await context.dial.operator(context)
      const ping = await api.ping({})
      return `version ${ping.version}, contract ${ping.contract}`
    }),
    await find('ssh', async () => {
      if ((await context.execute('ssh', ['-V'])) !== 0) throw new Error('the OpenSSH client does not run')
      return 'the OpenSSH client runs'
    }),
  ]
  const lines = findings.map(({ ok, check, says }) => harmless(`${ok ? 'ok    ' : 'FAILED'} ${check}: ${says}`))
  await context.show(findings, () => lines.join('\n'))
  return findings.every(({ ok }) => ok) ? EXIT.done : EXIT.failed
}

async function find(check: string, run: () => Promise<string>): Promise<Finding> {
  try {
    return { check, ok: true, says: await run() }
  } catch (error) {
    return { check, ok: false, says: error instanceof Error ? error.message : String(error) }
  }
}
