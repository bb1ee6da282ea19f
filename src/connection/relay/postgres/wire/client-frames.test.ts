import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientFrames, LONGEST_HELD, type ClientSink } from './client-frames.ts'
import { ProtocolError } from './protocol-error.ts'

/** Pieces, put together */
class Pieces {
  readonly #pieces: Buffer[] = []
  take(piece: Buffer): void {
    this.#pieces.push(Buffer.from(piece))
  }
  text(): string {
    return Buffer.concat(this.#pieces).toString('latin1')
  }
}

const text = (bytes: Buffer | Pieces): string => (bytes instanceof Pieces ? bytes.text() : bytes.toString('latin1'))

/** What a sink was told, as text */
class Told implements ClientSink<Pieces> {
  readonly lines: string[] = []
  long(): Pieces {
    return new Pieces()
  }
  query(sql: Buffer | Pieces): void {
    this.lines.push(`Q ${text(sql)}`)
  }
  parse(name: string, sql: Buffer | Pieces): void {
    this.lines.push(`P ${name}: ${text(sql)}`)
  }
  bind(portal: string, prepared: string, parameters: Buffer | Pieces): void {
    this.lines.push(`B ${portal} ${prepared}: ${text(parameters)}`)
  }
  copyData(): void {}
  functionCall({ text }: { readonly text: string }): void {
    this.lines.push(`F ${text}`)
  }
  describe(): void {
    this.lines.push('D')
  }
  execute(portal: string): void {
    this.lines.push(`E ${portal}`)
  }
  close(what: string, name: string): void {
    this.lines.push(`C ${what} ${name}`)
  }
  sync(): void {
    this.lines.push('S')
  }
  copyEnd(): void {
    this.lines.push('c')
  }
  terminate(): void {
    this.lines.push('X')
  }
}

const message = (type: string, body: Uint8Array | string = '', length?: number): Buffer => {
  const bytes = Buffer.concat([Buffer.from(type), Buffer.alloc(4), Buffer.from(body)])
  bytes.writeUInt32BE(length ?? bytes.length - 1, 1)
  return bytes
}

const feed = (chunks: readonly Buffer[]): { readonly lines: readonly string[]; readonly passed: number } => {
  const told = new Told()
  const frames = new ClientFrames(told)
  let passed = 0
  // A reader of sockets writes over its buffer.
  for (const chunk of chunks) {
    const reused = Buffer.from(chunk)
    passed += frames.feed(reused)
    reused.fill(0xee)
  }
  return { lines: told.lines, passed }
}

/** The same bytes, cut at the given places */
const cut = (bytes: Buffer, places: readonly number[]): readonly Buffer[] => {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length))
}

describe('messages of a client', () => {
  test('are told in order, with what they say', () => {
    const sent = [
      message('P', 's1\0select $1\0\0\0'),
      message('B', 'p\0s1\0parameters'),
      message('D', 'Sx\0'),
      message('E', 'p\0\0\0\0\0'),
      message('C', 'Ss1\0'),
      message('C', 'P\0'),
      message('S'),
      message('Q', 'select 1\0'),
      message('d', 'a row'),
      message('c'),
      message('f', 'no more\0'),
    ]
    const expected = [
      'P s1: select $1',
      'B p s1: parameters',
      'D',
      'E p',
      'C prepared s1',
      'C portal ',
      'S',
      'Q select 1',
      'c',
      'c',
    ]
    expect(feed([Buffer.concat(sent)]).lines).toEqual(expected)
  })

  test('are the same however the bytes are cut', () => {
    const name = fc.string({ maxLength: 5, unit: fc.constantFrom('a', 'b', 'c') })
    const rest = fc.string({ maxLength: 30, unit: fc.constantFrom('x', 'y', 'z') })
    const any = fc.oneof(
      rest.map((sql) => message('Q', `${sql}\0`)),
      fc.tuple(name, rest).map(([one, sql]) => message('P', `${one}\0${sql}\0\0\0`)),
      fc.tuple(name, name, rest).map(([one, two, tail]) => message('B', `${one}\0${two}\0${tail}`)),
      name.map((one) => message('E', `${one}\0\0\0\0\0`)),
      name.map((one) => message('C', `S${one}\0`)),
      rest.map((data) => message('d', data)),
      fc.constantFrom('S', 'H', 'c').map((type) => message(type)),
    )
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (messages, places) => {
        const bytes = Buffer.concat(messages)
        const whole = feed([bytes])
        expect(feed(cut(bytes, places))).toEqual(whole)
        expect(whole.passed).toBe(bytes.length)
      }),
      { numRuns: 300 },
    )
  })

  test.each(['Q', 'P', 'B'])('a %s that is too long to be held is told the same in pieces', (type) => {
    const sql = 'abcdefg'.repeat(LONGEST_HELD / 4)
    const bodies = { Q: `${sql}\0`, P: `s1\0${sql}\0\0\x01\0\0\0\x17`, B: `p\0s1\0${sql}` } as Record<string, string>
    const bytes = message(type, bodies[type] ?? '')
    const whole = feed([bytes])
    expect(whole.lines[0]).toContain(sql)
    const places = [
      1,
      3,
      5,
      6,
      7,
      8,
      9,
      10,
      11,
      65_000,
      bytes.length - 7,
      bytes.length - 6,
      bytes.length - 5,
      bytes.length - 1,
    ]
    expect(feed(cut(bytes, places))).toEqual(whole)
  })

  test('a message of a gibibyte is announced, and takes no memory', () => {
    const told = new Told()
    const nowhere = new Pieces()
    nowhere.take = () => {}
    told.long = () => nowhere
    const frames = new ClientFrames(told)
    frames.feed(message('Q', 'select', 0x3fffffff))
    const before = process.memoryUsage().arrayBuffers
    const chunk = Buffer.alloc(1024 * 1024, 1)
    for (let index = 0; index < 24; index++) frames.feed(chunk)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
  })

  test('what comes after Terminate is not passed on', () => {
    const bytes = Buffer.concat([message('S'), message('X'), message('Q', 'drop table t\0')])
    expect(feed([bytes])).toEqual({ lines: ['S', 'X'], passed: 10 })
    expect(feed(cut(bytes, [7, 10, 12]))).toEqual({ lines: ['S', 'X'], passed: 10 })
  })

  test.each<[string, Buffer]>([
    ['a length of 3', message('Q', '', 3)],
    ['a length of 0', message('S', '', 0)],
    ['a negative length', message('Q', '', 0xffffffff)],
    ['more than a gibibyte', message('Q', '', 0x40000000)],
    ['a Sync with a body', message('S', 'x')],
    ['a Terminate with a body', message('X', 'x')],
    ['an Execute of 10,001 bytes', message('E', '', 10_001)],
    ['a Describe of 2^31 - 1 bytes', message('D', '', 0x7fffffff)],
    ['a password out of turn', message('p', 'secret\0')],
    ['an unknown type', message('z', 'x')],
    ['type 0', message('\0', 'x')],
    ['a startup message', Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0])],
    ['a Query without an end', message('Q', 'select 1')],
    ['an empty Query', message('Q')],
    ['a Parse whose text does not end', message('P', 's1\0select 1')],
    ['a Bind with one name', message('B', 'portal\0prepared')],
    ['a long Parse whose text does not end', message('P', Buffer.alloc(LONGEST_HELD + 1, 'x'))],
    ['a Bind whose name is very long', message('B', Buffer.alloc(LONGEST_HELD + 1, 'x'))],
    ['a TLS record', Buffer.from([22, 3, 1, 0, 200])],
  ])('%s ends the session', (_name, bytes) => {
    expect(() => feed([bytes])).toThrow(ProtocolError)
    expect(() => feed(cut(bytes, [1, 2, 3, 4]))).toThrow(ProtocolError)
  })

  test('a function call is refused with its own SQLSTATE', () => {
    expect(() => feed([message('F', 'x')])).toThrow(expect.objectContaining({ sqlState: '0A000' }))
  })

  test('no bytes do anything but go on or throw a ProtocolError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 6 }), (chunks) => {
        try {
          feed(chunks.map((chunk) => Buffer.from(chunk)))
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
