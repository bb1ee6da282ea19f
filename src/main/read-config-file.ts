import { CommandFailed } from '../cli/shared/command-failed.ts'
import { ConfigError, readConfig, type Config } from '../foundation/config.ts'

/** For a command: faults are told as those of its usage. `instead` replaces keys of the file. */
export function readConfigFile(file: string, instead: Readonly<Record<string, string>> = {}): Config {
  try {
    return readConfig(file, instead)
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CommandFailed('usage', error.message, 'docs/configuration.md lists every key')
    throw error
  }
}
