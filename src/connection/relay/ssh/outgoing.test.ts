import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Outgoing } from './outgoing.ts'

/** As the sealer does it: memory is asked for, filled and given back as a frame. */
function write(outgoing: Outgoing, bytes: Buffer): void {
  const frame = outgoing.room(bytes.length)
  frame.set(bytes)
  outgoing.add(frame)
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 8000, max: 80_000 })), {
  maxLength: 8,
})

test('what is written leaves in its order, whatever its sizes and whoever else writes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(sizes, fc.boolean()), { maxLength: 6 }), (batches) => {
      const [one, other] = [new Outgoing(), new Outgoing()]
      const held: { readonly pieces: readonly Buffer[]; readonly expected: Buffer }[] = []
      for (const [frames, isReleased] of batches) {
        const contents = frames.map((size) => randomBytes(size))
        for (const content of contents) {
          write(one, content)
          write(other, Buffer.alloc(content.length, 0xee))
        }
        const expected = Buffer.concat(contents)
        expect(one.bytes).toBe(expected.length)
        const { pieces, release } = one.take()
        expect(one.bytes).toBe(0)
        expect(Buffer.concat(pieces).equals(expected)).toBe(true)
        other.take().release()
        if (isReleased) release()
        else held.push({ pieces, expected })
      }
      // What has not left yet was not written over by what came later.
      for (const { pieces, expected } of held) expect(Buffer.concat(pieces).equals(expected)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('large frames that follow each other are one piece, and their memory is used again when they have left', () => {
  const outgoing = new Outgoing()
  const frames = [randomBytes(32_804), randomBytes(32_804), randomBytes(60)]
  for (const frame of frames) write(outgoing, frame)
  const first = outgoing.take()
  expect(first.pieces.length).toBe(1)
  first.release()
  write(outgoing, randomBytes(32_804))
  expect(outgoing.take().pieces[0]?.buffer).toBe(first.pieces[0]?.buffer)
})

test('a small frame holds no block', () => {
  const outgoing = new Outgoing()
  write(outgoing, randomBytes(60))
  expect(outgoing.take().pieces[0]?.buffer.byteLength).toBe(60)
})

test('a frame that was asked for and not written leaves nothing', () => {
  const outgoing = new Outgoing()
  outgoing.room(32_804)
  write(outgoing, Buffer.alloc(40, 1))
  expect(Buffer.concat(outgoing.take().pieces)).toEqual(Buffer.alloc(40, 1))
})
