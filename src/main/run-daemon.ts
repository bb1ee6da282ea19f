import type { CommandContext } from '../cli/shared/command-context.ts'
import { systemClock } from '../foundation/clock.ts'
import { createLog } from '../foundation/log.ts'
import { startDaemon } from './daemon.ts'
import { readConfigFile } from './read-config-file.ts'

/** `sallyport start`: until SIGTERM or SIGINT. A second signal ends it at once. */
export async function runDaemon(
  file: string,
  entry: string,
  version: string,
  context: CommandContext,
): Promise<number> {
  const config = readConfigFile(file)
  process.umask(0o077)
  const log = createLog(config.logLevel, { part: 'control', pid: process.pid })
  const { promise: stopped, resolve: stop } = Promise.withResolvers<string>()
  process.once('SIGTERM', () => stop('the proxy is being stopped'))
  process.once('SIGINT', () => stop('the proxy is being stopped'))
  const isTerminal = process.stderr.isTTY
  const daemon = await startDaemon(config, {
    clock: systemClock,
    log,
    env: process.env,
    askPassphrase: isTerminal ? () => context.prompt.secret('Passphrase of the key that seals secrets') : null,
    showOnTerminal: isTerminal ? (text) => process.stderr.write(`${text}\n`) : null,
    entry,
    version,
  })
  const why = await stopped
  process.once('SIGTERM', () => process.exit(1))
  process.once('SIGINT', () => process.exit(1))
  await daemon.stop(why)
  return 0
}
