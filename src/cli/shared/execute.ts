import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CommandFailed } from './command-failed.ts'

/** Runs a program on this terminal. A signal that ended it becomes 128 + its number, as in a shell. */
export function execute(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit' })
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new CommandFailed(
              'failed',
              `there is no ${program} on this machine`,
              'Install it, or put its folder into PATH.',
            )
          : error,
      ),
    )
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
