import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientFrames, MOST_CAPTURED, type CapturedBody, type ClientSink } from './client-frames.ts'
import { ProtocolError } from './protocol-error.ts'

/** What a sink was told, as text */
class Told implements ClientSink {
  readonly lines: string[] = []
  readonly query = (body: CapturedBody): void => this.#body('Q', body)
  readonly parse = (body: CapturedBody): void => this.#body('P', body)
  readonly bind = (body: CapturedBody): void => this.#body('B', body)
  readonly execute = (body: CapturedBody): void => this.#body('E', body)
  readonly close = (body: CapturedBody): void => this.#body('C', body)
  readonly sync = (): void => void this.lines.push('S')
  readonly copyData = (bytes: number): void => void this.lines.push(`d ${bytes}`)
  readonly copyEnd = (): void => void this.lines.push('c')
  readonly terminate = (): void => void this.lines.push('X')

  #body(type: string, { head, total, restSha256 }: CapturedBody): void {
    this.lines.push(`${type} ${head.toString('hex')} ${total} ${restSha256 ?? ''}`)
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
  test('are told in order, with their bodies', () => {
    const sent = [
      message('P', 's1\0select 1\0\0\0'),
      message('B', 'p'),
      message('D', 'Sx\0'),
      message('E', 'e'),
      message('S'),
    ]
    expect(feed([Buffer.concat(sent)]).lines.map((line) => line[0])).toEqual(['P', 'B', 'E', 'S'])
  })

  test('are the same however the bytes are cut', () => {
    const body = fc.uint8Array({ maxLength: 40 })
    const any = fc.oneof(
      fc.tuple(fc.constantFrom('Q', 'P', 'B', 'd'), body).map(([type, bytes]) => message(type, bytes)),
      fc.tuple(fc.constantFrom('E', 'C', 'D', 'f'), body).map(([type, bytes]) => message(type, bytes)),
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

  test('of any length keep 64 KiB of the body, its length and a hash of the rest, also byte by byte', () => {
    const body = Buffer.alloc(MOST_CAPTURED + 1000, 'abcdefg')
    const rest = createHash('sha256').update(body.subarray(MOST_CAPTURED)).digest('hex')
    const expected = [`Q ${body.subarray(0, MOST_CAPTURED).toString('hex')} ${body.length} ${rest}`]
    const bytes = message('Q', body)
    expect(feed([bytes]).lines).toEqual(expected)
    expect(
      feed(cut(bytes, [1, 3, 5, 65_000, MOST_CAPTURED + 5, MOST_CAPTURED + 6, MOST_CAPTURED + 500])).lines,
    ).toEqual(expected)
  })

  test('a message of a gibibyte is announced, and takes no memory', () => {
    const frames = new ClientFrames(new Told())
    frames.feed(message('Q', 'select', 0x3fffffff))
    frames.feed(message('d').subarray(0, 0))
    const before = process.memoryUsage().arrayBuffers
    const chunk = Buffer.alloc(1024 * 1024)
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
