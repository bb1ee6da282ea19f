import { needProgram } from './need-program.ts'
import { run } from './run.ts'
import { tempFolder } from './temp-folder.ts'
import { until, type Patience } from './until.ts'

export interface TerminalOptions {
  readonly columns?: number
  readonly rows?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface Terminal extends AsyncDisposable {
  /** Types text as it is; `\r` is the Enter key. */
  type(text: string): Promise<void>
  /** Presses tmux keys: Enter, C-c, Up ... */
  press(...keys: readonly string[]): Promise<void>
  resize(columns: number, rows: number): Promise<void>
  /** What a person sees, without trailing blanks. */
  screen(): Promise<string>
  /** The screen and everything that has scrolled off. */
  history(): Promise<string>
  /** Waits until the history contains it. */
  shows(pattern: RegExp, patience?: Patience): Promise<RegExpExecArray>
  /** Exit status of the command, once it has ended; 128 and the number of the signal that ended it. */
  exitStatus(patience?: Patience): Promise<number>
}

/** A real terminal (a private tmux server) with one command in it, which stays readable after the command has ended. */
export async function openTerminal(
  command: readonly [string, ...string[]],
  { columns = 100, rows = 30, env = {}, cwd }: TerminalOptions = {},
): Promise<Terminal> {
  const program = needProgram('tmux')
  const folder = tempFolder('tmux')
  const tmux = async (...args: readonly string[]): Promise<string> => {
    const done = await run(program, ['-S', folder.file('socket'), '-f', '/dev/null', ...args], {
      env: { TMUX: undefined, LC_ALL: 'C.UTF-8' },
    })
    if (done.code !== 0) throw new Error(`tmux ${args.join(' ')}: ${done.stderr.trim()}`)
    return done.stdout
  }
  const size = ['-x', String(columns), '-y', String(rows)]
  const setEnv = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const where = cwd === undefined ? [] : ['-c', cwd]
  // The pane waits for a word before the command starts, so that its end is not missed.
  const waiting = ['sh', '-c', 'read -r go; exec "$@"', 'sh', ...command]
  await tmux('new-session', '-d', '-s', 'main', ...size, ...setEnv, ...where, ...waiting)
  await tmux('set-option', '-w', '-t', 'main', 'remain-on-exit', 'on')
  await tmux('set-option', '-t', 'main', 'history-limit', '50000')
  await tmux('send-keys', '-t', 'main', 'Enter')

  const trim = (text: string): string => text.replaceAll(/[ \t]+$/gm, '').trimEnd()
  const history = async (): Promise<string> => trim(await tmux('capture-pane', '-p', '-J', '-S', '-', '-t', 'main'))
  return {
    type: async (text) => {
      for (const [index, line] of text.split('\r').entries()) {
        if (index > 0) await tmux('send-keys', '-t', 'main', 'Enter')
        if (line !== '') await tmux('send-keys', '-t', 'main', '-l', '--', line)
      }
    },
    press: async (...keys) => void (await tmux('send-keys', '-t', 'main', ...keys)),
    resize: async (x, y) => void (await tmux('resize-window', '-t', 'main', '-x', String(x), '-y', String(y))),
    screen: async () => trim(await tmux('capture-pane', '-p', '-t', 'main')),
    history,
    shows: async (pattern, patience) => {
      let seen = ''
      try {
        return await until(`${pattern}`, async () => pattern.exec((seen = await history())), patience)
      } catch (error) {
        throw new Error(`${(error as Error).message}; the terminal shows:\n${seen}`, { cause: error })
      }
    },
    exitStatus: async (patience) =>
      Number(
        await until(
          `the end of ${command[0]}`,
          async () => {
            const format = '#{pane_dead} #{pane_dead_status}/#{pane_dead_signal}'
            const state = await tmux('display-message', '-p', '-t', 'main', format)
            const [, exited, signal] = /^1 (\d*)\/(\d*)/.exec(state) ?? []
            const status = exited ? exited : signal ? 128 + Number(signal) : undefined
            // tmux 3.3 sometimes misses the end of a child; any other child's end makes it look again.
            if (status === undefined && state.startsWith('1')) await tmux('run-shell', 'true')
            return status
          },
          patience,
        ),
      ),
    [Symbol.asyncDispose]: async () => {
      await tmux('kill-server').catch(() => {})
      folder[Symbol.dispose]()
    },
  }
}
