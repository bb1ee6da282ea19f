import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HarmlessDisplay } from './harmless-display.ts'

const pass = (text: string): string => new HarmlessDisplay().pass(Buffer.from(text, 'latin1')).toString('latin1')
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

describe('plain display passes unchanged', () => {
  test.each([
    ['text and line ends', 'a\tb\r\nc\b d'],
    ['colours', '\x1b[1;38;5;196mred\x1b[0m \x1b[4:3mcurly\x1b[m'],
    ['cursor and erasing', '\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[1A\x1b[2L\x1b[3r'],
    ['alternate screen and cursor visibility', '\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l'],
    ['line drawing', '\x1b(0lqk\x1b(B\x0e\x0f'],
    ['saved cursor', '\x1b7\x1b8\x1bM'],
    ['UTF-8', utf8('näive 日本 🚀')],
    ['bytes that are not UTF-8 and no control characters', '\xe9\xff\xa0'],
  ])('%s', (_what, text) => expect(pass(text)).toBe(text))
})

describe('everything that asks, writes, renames or links is left out', () => {
  test.each([
    ['title', '\x1b]0;owned\x07'],
    ['title ended by ST', '\x1b]2;owned\x1b\\'],
    ['hyperlink', '\x1b]8;;http://evil\x1b\\'],
    ['clipboard', '\x1b]52;c;cm0gLXJm\x07'],
    ['iTerm file', '\x1b]1337;File=name=eA==:AAAA\x07'],
    ['colour query', '\x1b]11;?\x1b\\'],
    ['sixel', '\x1bPq#0;2;0;0;0~~\x1b\\'],
    ['request of settings', '\x1bP$qm\x1b\\'],
    ['application command', '\x1b_Gi=31;AAAA\x1b\\'],
    ['privacy message', '\x1b^x\x1b\\'],
    ['string', '\x1bXx\x1b\\'],
    ['device attributes', '\x1b[c\x1b[>c\x1b[=c\x1b[0c'],
    ['status and cursor position', '\x1b[5n\x1b[6n\x1b[?6n'],
    ['window operations', '\x1b[21t\x1b[8;999;999t'],
    ['terminal version', '\x1b[>q'],
    ['mouse, focus and paste modes', '\x1b[?1000h\x1b[?1003;1006h\x1b[?1004h\x1b[?2004h'],
    ['key modes', '\x1b[>4;2m\x1b[>1u\x1b[?1h\x1b=\x1b>'],
    ['mode query', '\x1b[?25$p'],
    ['answerback, bell, XOFF, NUL', '\x05\x07\x13\x00'],
    ['identify', '\x1bZ'],
    ['scrollback erased', '\x1b[3J'],
    ['huge numbers', '\x1b[99999999b\x1b[10000A'],
    ['soft reset, locator, printing', "\x1b[!p\x1b[1'z\x1b[5i\x1b[0i"],
    ['C1 in UTF-8', '\xc2\x9b\xc2\x90'],
    ['another coding', '\x1b%@\x1b%G'],
    ['an endless sequence', `\x1b[${'1;'.repeat(500)}m`],
  ])('%s', (_what, text) => {
    const shown = pass(`before${text}after`)
    expect(shown.startsWith('before')).toBe(true)
    expect(shown.endsWith('after')).toBe(true)
    expect(shown.slice(6, -5)).not.toMatch(/[\x00-\x1f\x80-\x9f]/)
    expect(shown.length).toBeLessThan(30)
  })

  test('a single C1 byte, which some terminals take for CSI or OSC, is shown as unknown', () => {
    expect(pass('a\x9b31mb\x9d')).toBe(`a${utf8('\ufffd')}31mb${utf8('\ufffd')}`)
  })

  test('only the harmless ones of several modes are kept', () => {
    expect(pass('\x1b[?25;1000;7h')).toBe('\x1b[?25;7h')
  })

  test('what a terminal would show after an aborted sequence is shown', () => {
    expect(pass('\x1b]0;never ends\x18seen')).toBe('seen')
    expect(pass('\x1b]0;never ends\x1b[1mseen')).toBe('\x1b[1mseen')
    expect(pass('\x1b]0;title\xc2\x9cseen')).toBe('seen')
    expect(pass('\x1b%]seen')).toBe('seen')
    expect(pass('\x1b[12\x1b[1mseen')).toBe('\x1b[1mseen')
  })

  test('a full reset clears the screen without taking the scrollback', () => {
    expect(pass('\x1bc')).toBe('\x1b[m\x1b[r\x1b[H\x1b[2J')
  })
})

describe('of any bytes', () => {
  const hostile = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.constantFrom(
        '\x1b',
        '\x1b[',
        '\x1b]',
        '\x1bP',
        '\x07',
        '\x1b\\',
        '?',
        ';',
        '52',
        'c',
        'm',
        '\xc2',
        '\x9b',
        '\x18',
      ),
    ),
    { maxLength: 30 },
  )

  test('only listed sequences come out', () => {
    fc.assert(
      fc.property(hostile, (parts) => {
        const shown = pass(parts.join(''))
        const rest = shown.replace(
          /\x1b(\[[0-9;:]*[@A-MPSTXZ`a-gmrsu]|\[\?[0-9;]+[hl]|\[[0-6]? q|[78DEMH]|[()*+][0AB12])/g,
          '',
        )
        expect(rest).not.toMatch(/[\x00-\x07\x10-\x1f\x7f]/)
        expect(rest).not.toMatch(/\xc2[\x80-\x9f]/)
      }),
      { numRuns: 500 },
    )
  })

  test('how they are split makes no difference', () => {
    fc.assert(
      fc.property(hostile, fc.nat(), (parts, seed) => {
        const bytes = Buffer.from(parts.join(''), 'latin1')
        const display = new HarmlessDisplay()
        const at = bytes.length === 0 ? 0 : seed % bytes.length
        const split = Buffer.concat([display.pass(bytes.subarray(0, at)), display.pass(bytes.subarray(at))])
        expect(split.toString('latin1')).toBe(pass(parts.join('')))
      }),
      { numRuns: 500 },
    )
  })
})
