import { CommandFailed } from './command-failed.ts'
import type { CommandContext, Format, Surroundings } from './command-context.ts'
import { serialise } from './output.ts'

export function makeContext(
  surroundings: Surroundings,
  format: Format,
  typed: Readonly<Record<string, unknown>>,
): CommandContext {
  const { terminal, prompt } = surroundings
  const typedCode = (typed['code'] as string | undefined) ?? terminal.env['SALLY_CODE']
  const givenCode = typedCode === '' ? undefined : typedCode
  return {
    ...surroundings,
    format,
    givenCode,
    socket: (typed['socket'] as string | undefined) ?? terminal.env['SALLYPORT_SOCKET'],
    async show(data, text) {
      if (format === 'text') {
        const body = text()
        if (body !== '') terminal.stdout.write(`${body}\n`)
        return
      }
      terminal.stdout.write(await serialise(format, data))
    },
    progress(text) {
      if (format === 'text') terminal.stderr.write(`${text}\n`)
    },
    warn: (text) => terminal.stderr.write(`${surroundings.program}: ${text}\n`),
    async secondFactorCode(question) {
      if (givenCode !== undefined) return givenCode
      if (terminal.interactive) return (await prompt.text(question)).trim()
      throw new CommandFailed(
        'notAllowed',
        'this needs a code of your authenticator app',
        'Give --code=DIGITS or set SALLY_CODE.',
      )
    },
  }
}
