import { describe, expect, test } from 'vitest'
import type { StatementBytes, StatementResult } from '../../../statement-recorder.ts'
import { complaint } from '../wire/server-messages.ts'
import { StatementObserver, type Statements } from './statement-observer.ts'

const text = (bytes: StatementBytes): string =>
  Buffer.from(bytes instanceof Uint8Array ? bytes : bytes.bytes).toString('latin1')

/** Statements as lines: `1 query select 1`, then `1 ok 1 SELECT 1`. */
class Lines implements Statements {
  readonly lines: string[] = []
  #last = 0
  query(sql: StatementBytes): number {
    return this.#begin(`query ${text(sql)}`)
  }
  prepare(name: string, sql: StatementBytes): number {
    return this.#begin(`prepare ${name || '-'} ${text(sql)}`)
  }
  execute(prepared: number | null, name: string): number {
    return this.#begin(`execute ${prepared ?? `? ${name}`}`)
  }
  command(what: string): number {
    return this.#begin(`command ${what}`)
  }
  result(number: number, { outcome, rows, code = '' }: StatementResult): void {
    this.lines.push([number, outcome, code || rows].join(' ').trim())
  }
  #begin(what: string): number {
    this.lines.push(`${++this.#last} ${what}`)
    return this.#last
  }
}

/**
 * A connection in shorthand. Client: `Q sql`, `P name sql`, `B portal name`, `D`, `E portal`, `CS name`, `CP portal`, `S`, `d`, `c`.
 * Server, behind `<`: `C tag`, `1`, `2`, `3`, `T`, `s`, `I`, `G` (CopyIn), `E code`, `Z`, `ZT`.
 */
function observe(conversation: readonly string[], refusal: ((sql: string) => string | null) | null = null) {
  const record = new Lines()
  const observer = new StatementObserver(record, refusal)
  for (const line of conversation) {
    const [type = '', first = '', second = '', ...more] = line.split(' ')
    const name = (word: string): string => (word === '-' ? '' : word)
    const acts: Readonly<Record<string, () => void>> = {
      Q: () => observer.query(Buffer.from([first, second, ...more].join(' ').trim())),
      P: () => observer.parse(name(first), Buffer.from([second, ...more].join(' '))),
      B: () => observer.bind(name(first), name(second), Buffer.from('parameters')),
      D: () => observer.describe(),
      E: () => observer.execute(name(first)),
      CS: () => observer.close('prepared', name(first)),
      CP: () => observer.close('portal', name(first)),
      F: () => observer.functionCall({ text: first, writes: second === 'writes' }),
      S: () => observer.sync(),
      d: () => observer.copyData(),
      c: () => observer.copyEnd(),
      '<C': () => observer.commandComplete([first, second].join(' ').trim(), 0),
      '<1': () => observer.parseComplete(),
      '<2': () => observer.stepComplete('bind'),
      '<3': () => observer.stepComplete('close'),
      '<T': () => observer.stepComplete('describe'),
      '<V': () => observer.functionResult(),
      '<s': () => observer.portalSuspended(2),
      '<I': () => observer.emptyQuery(),
      '<G': () => observer.copyIn(),
      '<E': () => observer.error(complaint({ severity: 'ERROR', code: first, message: 'no' }).subarray(5)),
      '<Z': () => observer.ready('I'.charCodeAt(0)),
      '<ZT': () => observer.ready('T'.charCodeAt(0)),
    }
    const act = acts[type]
    if (!act) throw new Error(`no such message: ${line}`)
    act()
  }
  return { lines: record.lines, observer }
}

const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['a simple query', ['Q select', '<T', '<C SELECT 3', '<Z'], ['1 query select', '1 ok 3']],
  [
    'queries sent ahead are answered in order',
    ['Q one', 'Q two', '<E 42P01', '<Z', '<C SELECT 2', '<Z'],
    ['1 query one', '2 query two', '1 error 42P01', '2 ok 2'],
  ],
  [
    'a statement that is run twice',
    ['P s one', 'B - s', 'E -', 'S', '<1', '<2', '<C SELECT 1', '<Z', 'B - s', 'E -', 'S', '<2', '<C SELECT 2', '<Z'],
    ['1 prepare s one', '2 execute 1', '2 ok 1', '3 execute 1', '3 ok 2'],
  ],
  [
    'after an error nothing is run until Sync, whatever was sent before the error came back or after it',
    ['P - one', 'B - -', 'E -', '<E 42601', 'B - -', 'E -', 'Q two', 'S', '<Z', 'Q three', '<C SELECT 1', '<Z'],
    [
      ...['1 prepare - one', '2 execute 1', '1 error 42601', '2 skipped'],
      ...['3 execute ? ', '3 skipped', '4 query two', '4 skipped', '5 query three', '5 ok 1'],
    ],
  ],
  [
    'an error of Describe is of no statement, and a query behind it is skipped until Sync',
    ['D', 'Q one', 'Q two', 'S', '<E 26000', '<Z', 'Q three', '<C SELECT 1', '<Z'],
    ['1 query one', '2 query two', '1 skipped', '2 skipped', '3 query three', '3 ok 1'],
  ],
  [
    'an error of Bind is told of the run that it was for',
    ['B - none', 'D', 'E -', 'S', '<E 26000', '<Z'],
    ['1 execute ? none', '1 error 26000'],
  ],
  [
    'a name that the server refused to give anew stands for what it stood for',
    [
      ...['P s harmful', 'S', '<1', '<Z', 'P s harmless', 'S', '<E 42P05', '<Z'],
      ...['B - s', 'E -', 'S', '<2', '<C DELETE 9', '<Z'],
    ],
    ['1 prepare s harmful', '2 prepare s harmless', '2 error 42P05', '3 execute 1', '3 ok 9'],
  ],
  [
    'a name that was given in a part that the server skipped stands for what it stood for, closed or not',
    [
      ...['P - harmful', 'S', '<1', '<Z', 'D', 'P - harmless', 'CS -', 'P - harmless', 'S', '<E 26000', '<Z'],
      ...['B - -', 'E -', 'S', '<2', '<C DELETE 9', '<Z'],
    ],
    ['1 prepare - harmful', '2 prepare - harmless', '3 prepare - harmless', '4 execute 1', '4 ok 9'],
  ],
  [
    'a simple query takes the unnamed statement away, one that was skipped does not',
    [
      ...[
        'P - one',
        'S',
        '<1',
        '<Z',
        'D',
        'Q two',
        'S',
        '<E 26000',
        '<Z',
        'B - -',
        'E -',
        'S',
        '<2',
        '<C SELECT 1',
        '<Z',
      ],
      ...['Q three', '<C SELECT 1', '<Z', 'B - -', 'E -', 'S', '<E 26000', '<Z'],
    ],
    [
      ...['1 prepare - one', '2 query two', '2 skipped', '3 execute 1', '3 ok 1', '4 query three', '4 ok 1'],
      ...['5 execute ? ', '5 error 26000'],
    ],
  ],
  [
    'a portal does not outlive an error: what SQL calls so afterwards is not taken for it',
    ['P s one', 'B p s', 'S', '<1', '<2', '<ZT', 'Q two', '<E 22012', '<ZT', 'E p', 'S', '<C FETCH 1', '<ZT'],
    ['1 prepare s one', '2 query two', '2 error 22012', '3 execute ? p', '3 ok 1'],
  ],
  [
    'a portal that is read in parts, within a transaction',
    [
      'P s one',
      'B p s',
      'E p',
      'S',
      '<1',
      '<2',
      '<s',
      '<ZT',
      'E p',
      'S',
      '<C SELECT 1',
      '<Z',
      'E p',
      'S',
      '<E 34000',
      '<Z',
    ],
    ['1 prepare s one', '2 execute 1', '2 suspended 2', '3 execute 1', '3 ok 1', '4 execute ? p', '4 error 34000'],
  ],
  [
    'calls of large objects, among statements',
    ['F lo_open(1)', 'F lo_close(0)', 'Q one', '<V', '<Z', '<E 42704', '<Z', '<C SELECT 1', '<Z'],
    ['1 command lo_open(1)', '2 command lo_close(0)', '3 query one', '1 ok 0', '2 error 42704', '3 ok 1'],
  ],
  [
    'COPY in: the Sync that comes along with it is not answered',
    [
      'P - copy',
      'B - -',
      'D',
      'E -',
      'S',
      '<1',
      '<2',
      '<T',
      '<G',
      'd',
      'd',
      'c',
      'S',
      '<C COPY 2',
      '<Z',
      'Q one',
      '<I',
      '<Z',
    ],
    ['1 prepare - copy', '2 execute 1', '2 ok 2', '3 query one', '3 ok 0'],
  ],
  [
    'COPY in, all of it sent ahead',
    ['P - copy', 'B - -', 'E -', 'd', 'c', 'S', 'Q one', '<1', '<2', '<G', '<C COPY 1', '<Z', '<C SELECT 1', '<Z'],
    ['1 prepare - copy', '2 execute 1', '3 query one', '2 ok 1', '3 ok 1'],
  ],
  [
    'data that the server did not want any more is no reason to refuse what comes next',
    ['Q copy', '<G', 'd', '<E 22P02', '<Z', 'd', 'd', 'Q one', '<C SELECT 1', '<Z'],
    ['1 query copy', '1 error 22P02', '2 query one', '2 ok 1'],
  ],
  [
    'two COPY in one text, both sent ahead',
    ['Q copy; copy', 'd', 'c', 'd', 'c', 'Q one', '<G', '<C COPY 1', '<G', '<C COPY 1', '<Z', '<C SELECT 1', '<Z'],
    ['1 query copy; copy', '2 query one', '1 ok 2', '2 ok 1'],
  ],
  [
    'a query behind a COPY that failed before it read anything is not taken for skipped',
    ['P - copy', 'B - -', 'E -', 'S', 'Q one', '<1', '<2', '<G', '<E P0001', '<Z', '<C SELECT 1', '<Z'],
    ['1 prepare - copy', '2 execute 1', '3 query one', '2 error P0001', '3 ok 1'],
  ],
]

test.each(CASES)('%s', (_name, conversation, lines) => {
  expect(observe(conversation).lines).toEqual(lines)
})

describe('COPY that is not over', () => {
  test.each<[string, readonly string[]]>([
    ['a query', ['Q copy', '<G', 'd', 'Q one']],
    ['a Sync behind data', ['P - copy', 'B - -', 'E -', 'd', 'S']],
    ['a statement', ['P - copy', 'B - -', 'E -', '<1', '<2', '<G', 'P - one']],
    [
      'a query while it is unclear which Sync was looked at',
      ['P - copy', 'B - -', 'E -', '<1', '<2', '<G', 'S', '<E P0001', 'Q one'],
    ],
  ])('%s is refused: whether it is run could not be told', (_name, conversation) => {
    expect(() => observe(conversation)).toThrow('unexpected message during COPY from stdin')
  })
})

test('a text that is denied is recorded as denied, and nothing of it goes on', () => {
  const lines: string[] = []
  expect(() => {
    const { lines: told } = observe(['Q select', '<C SELECT 1', '<Z'], (sql) => (sql === 'drop' ? 'no' : null))
    lines.push(...told)
    observe(['P - drop'], () => 'no')
  }).toThrow('no')
  expect(lines).toEqual(['1 query select', '1 ok 1'])
})

test('where statements are judged, large objects are read and not written', () => {
  expect(observe(['F loread(0)', '<V', '<Z'], () => null).lines).toEqual(['1 command loread(0)', '1 ok 0'])
  expect(() => observe(['F lowrite(0,1) writes'], () => null)).toThrow('does not include lowrite')
})

test('it is busy as long as the server owes an answer, and knows the state of the transaction', () => {
  const { observer } = observe(['P s one', 'B - s', 'E -'])
  expect(observer.outstanding).toBe(3)
  observer.sync()
  observer.error(complaint({ severity: 'ERROR', code: '42601', message: 'no' }).subarray(5))
  expect(observer.outstanding).toBe(1)
  observer.ready('E'.charCodeAt(0))
  expect([observer.outstanding, observer.status, observer.answers]).toEqual([0, 'E', 1])
})

test.each<[string, () => readonly string[]]>([['portals', () => Array.from({ length: 4097 }, (_, n) => `B p${n} s`)]])(
  'too many %s are refused',
  (_name, messages) => {
    expect(() => observe(messages())).toThrow('too many portals are open')
  },
)
