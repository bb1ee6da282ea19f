import type { PlayOutput } from './play-options.ts'

/** This process's own terminal: stdout, with its back-pressure, and the keys of stdin where that is a terminal. */
export function processOutput(): PlayOutput {
  const { stdout, stdin } = process
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  const size = stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : null
  if (size === null || !stdin.isTTY) return { write, size }
  return {
    write,
    size,
    onKey(listener) {
      const pressed = (bytes: Buffer): void => {
        for (const key of bytes.toString('latin1')) listener(key)
      }
      stdin.setRawMode(true)
      stdin.on('data', pressed)
      return () => {
        stdin.off('data', pressed)
        stdin.setRawMode(false)
        stdin.pause()
      }
    },
  }
}
