import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blocksIn, putBlock, removeBlock, type Edited } from './managed-block.ts'

const text = (edited: Edited): string => {
  if (!edited.ok) throw new Error('damaged')
  return edited.text
}
const put = (before: string, name = 'orders', lines = ['[orders]', 'host=proxy']): string =>
  text(putBlock(before, name, lines))
const remove = (before: string, name = 'orders'): string => text(removeBlock(before, name))

/** Pieces of files as people have them, and as nobody should. */
const anyFile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '',
        '[own]',
        'host=x',
        '# note',
        '\r',
        '\0',
        '[orders]',
        '# >>> sally db login',
        '\xff\xfe',
        '  ',
      ),
      fc.string({ maxLength: 12 }).map((line) => line.replaceAll('\n', '')),
    ),
    { maxLength: 8 },
  )
  .chain((lines) => fc.boolean().map((ends) => lines.join('\n') + (ends && lines.length > 0 ? '\n' : '')))
const anyName = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/)
const anyLines = fc
  .array(fc.stringMatching(/^[ -~]{0,20}$/), { maxLength: 4 })
  .filter((lines) => lines.every((line) => !line.startsWith('# >>>') && !line.startsWith('# <<<')))

describe('a block in a file of somebody else', () => {
  test('goes again without a trace, whatever stood in the file and however often it was written', () => {
    fc.assert(
      fc.property(anyFile, anyName, fc.array(anyLines, { minLength: 1, maxLength: 3 }), (before, name, writings) => {
        const after = writings.reduce((file, lines) => put(file, name, lines), before)
        expect(remove(after, name)).toBe(before)
      }),
      { numRuns: 300 },
    )
  })

  test('leaves what stands before it and behind it as it is', () => {
    fc.assert(
      fc.property(anyFile, anyFile, anyLines, anyLines, (before, behind, first, second) => {
        const written = put(before, 'orders', first) + behind
        const again = put(written, 'orders', second)
        expect(again.startsWith(before)).toBe(true)
        expect(again.endsWith(behind)).toBe(true)
        expect(again.length - written.length).toBe(
          second.join('\n').length - first.join('\n').length + lines(second) - lines(first),
        )
        const gone = remove(again)
        expect(gone).toBe(
          before !== '' && !before.endsWith('\n') && behind !== '' ? `${before}\n${behind}` : before + behind,
        )
      }),
      { numRuns: 300 },
    )
  })

  test('of one database does not move that of another, also where one name begins with the other', () => {
    fc.assert(
      fc.property(anyFile, anyName, anyName, (before, one, other) => {
        fc.pre(one !== other)
        const both = put(put(before, one, ['a']), other, ['b'])
        expect(blocksIn(both)).toEqual(expect.arrayContaining([one, other]))
        expect(remove(put(both, one, ['c']), other)).toBe(put(before, one, ['c']))
        expect(remove(remove(both, other), one)).toBe(before)
      }),
      { numRuns: 300 },
    )
  })

  test('is written once: the same again changes nothing', () => {
    const once = put('[own]\nhost=x\n')
    expect(put(once)).toBe(once)
    expect(once).toBe(
      [
        '[own]\nhost=x',
        '# >>> sally db login orders: written anew each time, removed by sally db logout',
        '[orders]\nhost=proxy',
        '# <<< sally db login orders\n',
      ].join('\n'),
    )
  })

  test('that somebody has cut in half is not touched', () => {
    const whole = put('[own]\n')
    const [, first = '', , , last = ''] = whole.split('\n')
    for (const cut of [whole.replace(last, ''), whole.replace(first, ''), `${whole}${whole}`, `${last}\n${first}\n`]) {
      expect(putBlock(cut, 'orders', ['x']).ok).toBe(false)
      expect(removeBlock(cut, 'orders').ok).toBe(false)
    }
  })
})

const lines = (block: readonly string[]): number => (block.length === 0 ? -1 : 0)
