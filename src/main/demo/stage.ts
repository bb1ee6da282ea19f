// What the audience sees: a heading for each step, and every actor's lines behind the actor's name.
const COLOURS = { alice: 36, bob: 33, carol: 35, operator: 34, inbox: 32 } as const
export type Actor = keyof typeof COLOURS
const WIDTH = Math.max(...Object.keys(COLOURS).map((name) => name.length))

export interface Stage {
  heading(text: string): void
  /** A plain line: what the audience should notice. */
  remark(text: string): void
  typed(actor: Actor, line: string): void
  /** Whole lines are printed at once, so that actors never mix within a line. */
  voice(actor: Actor): { say(text: string): void; end(): void }
  done(text: string): void
  failed(text: string): void
}

export function createStage(out: NodeJS.WriteStream): Stage {
  const coloured = out.isTTY === true && (process.env['NO_COLOR'] ?? '') === ''
  const paint = (code: number | string, text: string): string => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text)
  const print = (text: string): void => void out.write(`${text}\n`)
  const margin = (actor: Actor): string => `${paint(COLOURS[actor], actor.padStart(WIDTH))} ${paint(2, '│')} `
  const voice: Stage['voice'] = (actor) => {
    let rest = ''
    const line = (text: string): void => print(`${margin(actor)}${text.replaceAll('\r', '')}`)
    return {
      say(text) {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const each of lines) line(each)
      },
      end() {
        if (rest !== '') line(rest)
        rest = ''
      },
    }
  }
  return {
    heading: (text) => print(`\n${paint(1, text)}\n${paint(2, '─'.repeat(Math.min(78, out.columns ?? 78)))}`),
    remark: (text) => print(paint(2, `${' '.repeat(WIDTH)}   ${text}`)),
    typed: (actor, line) => print(`${margin(actor)}${paint(1, `$ ${line}`)}`),
    voice,
    done: (text) => print(`${' '.repeat(WIDTH)} ${paint(32, '✓')} ${text}`),
    failed: (text) => print(`${' '.repeat(WIDTH)} ${paint(31, '✗')} ${text}`),
  }
}
