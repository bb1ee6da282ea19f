import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { terminalPassphrase } from './ask-passphrase.ts'

function terminal() {
  const modes: boolean[] = []
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode(mode: boolean): unknown {
      modes.push(mode)
      return input
    },
  })
  let shown = ''
  const output = { write: (text: string) => (shown += text) }
  return { input, output, modes, shown: () => shown }
}

test('what is typed is read up to Enter, corrected by Backspace, and never shown', async () => {
  const { input, output, modes, shown } = terminal()
  const asked = terminalPassphrase(input, output)?.()
  for (const text of ['corx', '\u007f', 'rect ', 'horse', '\r']) input.write(text)
  expect(await asked).toBe('correct horse')
  expect(modes).toEqual([true, false])
  expect(shown()).not.toMatch(/horse|corx/)
})

test('Control-C gives none and leaves the terminal as it was', async () => {
  const { input, output, modes } = terminal()
  const asked = terminalPassphrase(input, output)?.()
  input.write('abc\u0003')
  await expect(asked).rejects.toThrow('no passphrase')
  expect(modes).toEqual([true, false])
})

test('without a terminal nobody is asked', () => {
  const { output } = terminal()
  const input = Object.assign(new PassThrough(), { isTTY: false, setRawMode: () => input })
  expect(terminalPassphrase(input, output)).toBeNull()
})
