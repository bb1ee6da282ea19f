export interface ScpCommand {
  /** upload: the client sends (`scp -t` runs on the target); download: the target sends (`scp -f`). */
  readonly direction: 'upload' | 'download'
  /** The path as the client wrote it; the target's shell may expand it. */
  readonly path: string
}

const SCP = /^(?:[^\s]*\/)?scp((?: +-[A-Za-z]+)+)(?: +--)? +([^\s].*)$/s
/** What would make the shell on the target run something else as well. */
const SHELL = /[;|&`<>\n\r()]/

/** The command that `scp -O` runs on the target, or null when it is anything else. */
export function scpCommand(command: string): ScpCommand | null {
  if (SHELL.test(command)) return null
  const [, flags = '', path] = SCP.exec(command) ?? []
  if (path === undefined) return null
  const isSink = flags.includes('t')
  if (isSink === flags.includes('f')) return null
  return { direction: isSink ? 'upload' : 'download', path }
}
