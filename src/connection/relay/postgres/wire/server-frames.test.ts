import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ProtocolError } from './protocol-error.ts'
import { ServerFrames, type ServerSink } from './server-frames.ts'
import { complaint, parameterStatus, readErrorFields, readParameterStatus } from './server-messages.ts'

class Told implements ServerSink {
  readonly lines: string[] = []
  readonly commandComplete = (tag: string, rows: number, bytes: number): void =>
    void this.lines.push(`${tag}: ${rows} rows, ${bytes} bytes`)
  readonly portalSuspended = (rows: number): void => void this.lines.push(`suspended after ${rows}`)
  readonly parseComplete = (): void => void this.lines.push('parsed')
  readonly stepComplete = (step: string): void => void this.lines.push(`${step} done`)
  readonly functionResult = (): void => void this.lines.push('called')
  readonly emptyQuery = (): void => void this.lines.push('empty')
  readonly error = (body: Buffer): void => void this.lines.push(JSON.stringify(readErrorFields(body)))
  readonly parameterStatus = (body: Buffer): void => void this.lines.push(readParameterStatus(body).join('='))
  readonly copyIn = (): void => void this.lines.push('copy in')
  readonly copyBoth = (): void => void this.lines.push('copy both')
  readonly ready = (status: number): void => void this.lines.push(`ready ${String.fromCharCode(status)}`)
}

const message = (type: string, body: Uint8Array | string = '', length?: number): Buffer => {
  const bytes = Buffer.concat([Buffer.from(type), Buffer.alloc(4), Buffer.from(body)])
  bytes.writeUInt32BE(length ?? bytes.length - 1, 1)
  return bytes
}
const feed = (chunks: readonly Buffer[]): { readonly lines: readonly string[]; readonly frames: ServerFrames } => {
  const told = new Told()
  const frames = new ServerFrames(told)
  for (const chunk of chunks) frames.feed(chunk)
  return { lines: told.lines, frames }
}
const cut = (bytes: Buffer, places: readonly number[]): readonly Buffer[] => {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length))
}

const ANSWER = [
  message('T', 'a row description'),
  message('D', 'row 1'),
  message('D', 'row two'),
  message('C', 'SELECT 2\0'),
  message('N', 'a notice'),
  complaint({ severity: 'ERROR', code: '42P01', message: 'relation "t" does not exist' }),
  parameterStatus('TimeZone', 'UTC'),
  message('Z', 'T'),
]

describe('messages of a server', () => {
  test('rows are counted, outcomes are told, the rest is passed over', () => {
    expect(feed(ANSWER).lines).toEqual([
      'describe done',
      'SELECT 2: 2 rows, 12 bytes',
      '{"severity":"ERROR","code":"42P01","message":"relation \\"t\\" does not exist"}',
      'TimeZone=UTC',
      'ready T',
    ])
  })

  test('are the same however the bytes are cut', () => {
    const bytes = Buffer.concat(ANSWER)
    const whole = feed([bytes]).lines
    for (let place = 0; place <= bytes.length; place++) expect(feed(cut(bytes, [place])).lines).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (places) => {
        expect(feed(cut(bytes, places)).lines).toEqual(whole)
      }),
      { numRuns: 200 },
    )
  })

  test('an error of a megabyte is told cut', () => {
    const long = complaint({ severity: 'ERROR', code: '22000', message: 'x'.repeat(1_000_000) })
    const [line = ''] = feed(cut(long, [2, 100, 70_000, 900_000])).lines
    expect(line.length).toBeLessThan(5000)
    expect(line).toContain('22000')
  })

  test('the boundary between two messages is known at each byte', () => {
    const bytes = Buffer.concat(ANSWER)
    const ends = new Set<number>([0])
    for (let at = 0; at < bytes.length;) ends.add((at += 1 + bytes.readUInt32BE(at + 1)))
    for (let place = 0; place <= bytes.length; place++) {
      expect(feed([bytes.subarray(0, place)]).frames.atBoundary).toBe(ends.has(place))
    }
  })

  test('the message that is half passed on can be finished, and nothing else is', () => {
    const bytes = Buffer.concat(ANSWER)
    const first = ANSWER[0]?.length ?? 0
    for (let place = 1; place < first; place++) {
      const { frames } = feed([bytes.subarray(0, place)])
      expect(frames.feedToBoundary(bytes.subarray(place))).toBe(first - place)
      expect(frames.atBoundary).toBe(true)
      expect(frames.feedToBoundary(bytes)).toBe(0)
    }
  })

  test.each([
    ['a length of 3', 3],
    ['a negative length', 0xffffffff],
    ['more than a gibibyte', 0x40000000],
  ])('%s is refused', (_name, length) => {
    expect(() => feed([message('D', '', length)])).toThrow(ProtocolError)
    expect(() => feed(cut(message('D', '', length), [1, 2, 3]))).toThrow(ProtocolError)
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
