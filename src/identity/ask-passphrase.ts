const LONGEST = 1024

/** What is used of a tty.ReadStream. */
export interface TerminalInput {
  readonly isTTY: boolean
  setRawMode(mode: boolean): unknown
  on(event: 'data', listener: (chunk: Buffer | string) => void): unknown
  off(event: 'data', listener: (chunk: Buffer | string) => void): unknown
  resume(): unknown
  pause(): unknown
}

/** Asks on the terminal without echo; null when `input` is none. Control-C and Control-D refuse. */
export function terminalPassphrase(
  input: TerminalInput,
  output: { write(text: string): unknown },
): (() => Promise<string>) | null {
  if (!input.isTTY) return null
  return () =>
    new Promise((resolve, reject) => {
      let text = ''
      const end = (finish: () => void): void => {
        input.off('data', take)
        input.setRawMode(false)
        input.pause()
        output.write('\n')
        finish()
      }
      const take = (chunk: Buffer | string): void => {
        for (const character of chunk.toString()) {
          if (character === '\r' || character === '\n') return end(() => resolve(text))
          if (character === '\u0003' || character === '\u0004')
            return end(() => reject(new Error('no passphrase was given')))
          if (character === '\u007f' || character === '\b') text = text.slice(0, -1)
          else if (text.length < LONGEST) text += character
        }
      }
      output.write('Passphrase of the key-encryption key: ')
      input.setRawMode(true)
      input.on('data', take)
      input.resume()
    })
}
