import type { CommandContext } from '../cli/shared/command-context.ts'
import { CommandFailed } from '../cli/shared/command-failed.ts'
import { systemClock } from '../foundation/clock.ts'
import { ConfigError, readConfig, type Config } from '../foundation/config.ts'
import { createLog } from '../foundation/log.ts'
import { startDaemon } from './daemon.ts'

/** `sallyport start`: until SIGTERM or SIGINT. A second signal ends it at once. */
export async function runDaemon(
  file: string,
  entry: string,
  version: string,
  context: CommandContext,
): Promise<number> {
  const config = read(file)
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

function read(file: string): Config {
  try {
    return readConfig(file)
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CommandFailed('usage', error.message, 'docs/configuration.md lists every key')
    throw error
  }
}
