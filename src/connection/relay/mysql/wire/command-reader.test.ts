import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CommandReader, WHOLE_COMMAND, type CommandPiece } from './command-reader.ts'
import { framed, LONGEST } from './packets.ts'

/** A command as a client frames it, continued where it is long. */
function wireOf(command: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0, sequence = 0; ; at += LONGEST, sequence++) {
    const payload = command.subarray(at, at + LONGEST)
    parts.push(framed(sequence, payload))
    if (payload.length < LONGEST) return Buffer.concat(parts)
  }
}

function readAll(stream: Buffer, cuts: readonly number[]): CommandPiece[] {
  const reader = new CommandReader()
  const pieces: CommandPiece[] = []
  const at = [0, ...[...cuts].sort((a, b) => a - b), stream.length]
  for (const [index, start] of at.entries()) {
    reader.push(stream.subarray(start, at[index + 1] ?? stream.length))
    for (let piece = reader.next(); piece; piece = reader.next())
      pieces.push({ ...piece, wire: Buffer.from(piece.wire), payload: Buffer.from(piece.payload) })
  }
  return pieces
}

/** Pieces put together again. */
function commandsOf(pieces: readonly CommandPiece[]): Buffer[] {
  const commands: Buffer[] = []
  let parts: Buffer[] = []
  for (const { payload, isFirst, isLast } of pieces) {
    expect(isFirst).toBe(parts.length === 0)
    parts.push(payload)
    if (isLast) {
      commands.push(Buffer.concat(parts))
      parts = []
    }
  }
  return commands
}

test('commands come out as they went in, wherever the bytes are cut, and no byte is lost or changed', () => {
  const short = fc.uint8Array({ minLength: 1, maxLength: 300 })
  const long = fc.nat(3000).map((more) => new Uint8Array(WHOLE_COMMAND + more - 1500).fill(3))
  const commands = fc.array(fc.oneof({ weight: 6, arbitrary: short }, { weight: 1, arbitrary: long }), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(commands, fc.array(fc.nat(), { maxLength: 8 }), (given, cuts) => {
      const all = given.map((one) => Buffer.from(one))
      const stream = Buffer.concat(all.map(wireOf))
      const pieces = readAll(
        stream,
        cuts.map((cut) => cut % (stream.length + 1)),
      )
      expect(commandsOf(pieces).map((one) => one.toString('hex'))).toEqual(all.map((one) => one.toString('hex')))
      expect(Buffer.concat(pieces.map(({ wire }) => wire)).equals(stream)).toBe(true)
      for (const { command, isFirst, payload } of pieces) if (isFirst) expect(payload[0]).toBe(command)
    }),
    { numRuns: 60 },
  )
})

test.each([
  ['of exactly one packet, which an empty one ends', LONGEST],
  ['a byte longer than a packet', LONGEST + 1],
  ['a byte shorter than a packet', LONGEST - 1],
])('a command %s is one command', (_name, length) => {
  const stream = wireOf(Buffer.alloc(length, 3))
  const pieces = readAll(stream, [7, 70_000, LONGEST + 5])
  expect(pieces.at(-1)?.isLast).toBe(true)
  expect(pieces.filter(({ isLast }) => isLast)).toHaveLength(1)
  expect(pieces.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(length)
  expect(pieces.reduce((sum, { wire }) => sum + wire.length, 0)).toBe(stream.length)
})

test('a command that lies whole in one chunk is not copied', () => {
  const stream = wireOf(Buffer.from('\x03select 1'))
  const reader = new CommandReader()
  reader.push(stream)
  expect(reader.next()?.wire.buffer).toBe(stream.buffer)
  expect(reader.buffered).toBe(0)
})

describe('what is no command ends the session', () => {
  test.each([
    ['an empty packet', framed(0), /empty/],
    ['a command that starts in the middle of a count', framed(1, Buffer.from([3])), /out of order/],
    [
      'a continuation with the wrong number',
      Buffer.concat([Buffer.from([255, 255, 255, 0]), Buffer.alloc(LONGEST, 3), framed(2, Buffer.from('x'))]),
      /out of order/,
    ],
  ])('%s', (_name, stream, why) => {
    expect(() => readAll(stream, [])).toThrow(why)
  })

  test('of what is announced no more is held than has come', () => {
    const reader = new CommandReader()
    reader.push(Buffer.from([0xff, 0xff, 0xff, 0, 3, 0x41]))
    while (reader.next());
    expect(reader.buffered).toBe(0)
  })
})
