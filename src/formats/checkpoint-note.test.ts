import fc from 'fast-check'
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  checkpointDigest,
  checkpointKey,
  checkpointText,
  isSignedBy,
  noteKeyId,
  parseNote,
  signedNote,
} from './checkpoint-note.ts'
import { FormatError } from './format-error.ts'

const ours = generateKeyPairSync('ed25519')
const theirs = generateKeyPairSync('ed25519')
const hex = (byte: string): string => byte.repeat(32)
const checkpoint: Checkpoint = {
  origin: 'sallyport/ins_1',
  size: 42,
  head: hex('ab'),
  time: 1_800_000_000_000,
  previous: hex('01'),
  sessions: [
    { id: 'ses_a', chunks: 2, bytes: 4096, digest: hex('aa') },
    { id: 'ses_b', chunks: 1, bytes: 0, digest: hex('bb') },
  ],
}

function makeNote(value: Checkpoint, keys = ours): string {
  const text = checkpointText(value)
  return signedNote(text, value.origin, keys.publicKey, sign(null, Buffer.from(text), keys.privateKey))
}

describe('a checkpoint note', () => {
  it('has the layout that its description promises', () => {
    expect(makeNote(checkpoint).split('\n').slice(0, 8)).toEqual([
      'sallyport/ins_1',
      '42',
      Buffer.from(hex('ab'), 'hex').toString('base64'),
      'time 1800000000000',
      `previous ${hex('01')}`,
      `session ses_a 2 4096 ${hex('aa')}`,
      `session ses_b 1 0 ${hex('bb')}`,
      '',
    ])
  })

  it('is read back as what it was made of, and is signed by its key alone', () => {
    const parsed = parseNote(makeNote(checkpoint))
    expect(parsed.checkpoint).toEqual(checkpoint)
    expect(isSignedBy(parsed, [theirs.publicKey, ours.publicKey])).toBe(true)
    expect(isSignedBy(parsed, [theirs.publicKey])).toBe(false)
    expect(isSignedBy(parsed, [])).toBe(false)
  })

  it('names a key by four bytes over its name and itself', () => {
    const raw = Buffer.from('h20ZoCtjQFIjaSK+cBG0SSOQQyLjn3SsI+jlIbY9KMg=', 'base64')
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw])
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    const id = createHash('sha256').update('example.com/foo\n\u0001').update(raw).digest('hex').slice(0, 8)
    expect(noteKeyId('example.com/foo', key)).toBe(id)
  })

  it('is refused when any single character of its signed text is another', () => {
    const note = makeNote(checkpoint)
    const end = note.indexOf('\n\n')
    for (let index = 0; index < end; index++) {
      const other = note[index] === '1' ? '2' : '1'
      const changed = `${note.slice(0, index)}${other}${note.slice(index + 1)}`
      expect(accepted(changed), changed).toBe(false)
    }
  })

  it('is refused when cut anywhere', () => {
    const note = makeNote(checkpoint)
    for (let length = 0; length < note.length; length++) expect(accepted(note.slice(0, length))).toBe(false)
  })

  const body = checkpointText(checkpoint)
  const hostile: readonly (readonly [string, string])[] = [
    ['empty', ''],
    ['only line breaks', '\n\n\n'],
    ['no signature line', `${body}\n`],
    ['an empty signature', `${body}\n\u2014 name \n`],
    ['a hyphen for the dash', makeNote(checkpoint).replace('\u2014', '-')],
    ['a blank in the origin', makeNote(checkpoint).replace('sallyport/', 'sally port/')],
    ['a negative size', makeNote(checkpoint).replace('\n42\n', '\n-42\n')],
    ['a size with a leading zero', makeNote(checkpoint).replace('\n42\n', '\n042\n')],
    ['a size beyond 2^53', makeNote(checkpoint).replace('\n42\n', '\n9999999999999999\n')],
    ['a size in exponents', makeNote(checkpoint).replace('\n42\n', '\n4e1\n')],
    ['a time that no calendar shows', makeNote(checkpoint).replace('time 1800000000000', 'time 8999999999999999')],
    ['carriage returns', makeNote(checkpoint).replaceAll('\n', '\r\n')],
    ['lines in another order', makeNote(checkpoint).replace(/(time.*)\n(previous.*)/, '$2\n$1')],
    ['a session named twice', makeNote(checkpoint).replace('ses_b', 'ses_a')],
    ['two blanks', makeNote(checkpoint).replace('time ', 'time  ')],
    ['17 signatures', `${body}\n${'\u2014 n AAAAAAAA\n'.repeat(17)}`],
    ['an unknown line', makeNote(checkpoint).replace('session ses_b', 'something ses_b')],
    ['five megabytes', `${'x'.repeat(5_000_000)}\n\n`],
    ['base64 with unused bits', makeNote({ ...checkpoint }).replace('6urq6s=', '6urq6t=')],
  ]
  it.each(hostile)('is refused with %s', (_, note) => {
    expect(accepted(note)).toBe(false)
  })

  it('is never accepted after random edits', () => {
    const note = makeNote(checkpoint)
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.nat(5), fc.string({ maxLength: 5 }), (at, removed, added) => {
        const changed = note.slice(0, at) + added + note.slice(at + removed)
        // Text after the signed part may change only into another signature that is ignored.
        if (changed === note || changed.startsWith(body)) return
        expect(accepted(changed)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes no values that it could not read back', () => {
    for (const bad of [
      { ...checkpoint, origin: 'two words' },
      { ...checkpoint, size: -1 },
      { ...checkpoint, size: 1.5 },
      { ...checkpoint, head: 'ab' },
      { ...checkpoint, previous: 'zz' },
      { ...checkpoint, sessions: [{ id: 'a b', chunks: 1, bytes: 1, digest: hex('aa') }] },
    ]) {
      expect(() => checkpointText(bad)).toThrow(FormatError)
    }
  })

  it('has a digest of its own', () => {
    expect(checkpointDigest(body)).not.toBe(checkpointDigest(checkpointText({ ...checkpoint, size: 43 })))
  })

  it('takes Ed25519 keys only', () => {
    const pem = ours.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    expect(checkpointKey(pem).equals(ours.publicKey)).toBe(true)
    const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
    expect(() => checkpointKey(p256.export({ type: 'spki', format: 'pem' }).toString())).toThrow(/Ed25519/)
    for (const bad of ['', 'nonsense', pem.slice(0, 40)]) expect(() => checkpointKey(bad)).toThrow(FormatError)
  })
})

function accepted(note: string): boolean {
  try {
    return isSignedBy(parseNote(note), [ours.publicKey])
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
}
