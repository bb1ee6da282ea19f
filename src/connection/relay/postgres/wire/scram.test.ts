import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ProtocolError } from './protocol-error.ts'
import { checkServerSignature, finishScram, readChallenge, startScram } from './scram.ts'

const NONCE = 'rOprNGfwEbeRWgbNEkqO'
const HASH = Buffer.alloc(32, 1)

describe('SCRAM-SHA-256', () => {
  test('answers as the example of RFC 7677 does, but for the user name, which PostgreSQL wants empty', () => {
    const start = startScram(['SCRAM-SHA-256'], null, NONCE)
    expect(start.first).toBe(`n,,n=,r=${NONCE}`)
    const text = `r=${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
    const challenge = readChallenge(Buffer.from(text), start)
    const salted = pbkdf2Sync('pencil', challenge.salt, challenge.iterations, 32, 'sha256')
    const final = finishScram(start, challenge, salted)
    expect(final.message).toMatch(
      /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/,
    )
    expect(() => checkServerSignature(Buffer.from(`v=${final.expected.toString('base64')}`), final)).not.toThrow()
    expect(() => checkServerSignature(Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`), final)).toThrow(
      ProtocolError,
    )
    expect(() => checkServerSignature(Buffer.from('e=other-error'), final)).toThrow(ProtocolError)
    expect(() => checkServerSignature(Buffer.from(''), final)).toThrow(ProtocolError)
  })

  test('is bound to the channel where TLS and the server allow it', () => {
    expect(startScram(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'], HASH, NONCE)).toMatchObject({
      mechanism: 'SCRAM-SHA-256-PLUS',
      first: `p=tls-server-end-point,,n=,r=${NONCE}`,
    })
    // Somebody in between may have taken the better offer away: the server is told that we would have taken it.
    expect(startScram(['SCRAM-SHA-256'], HASH, NONCE).first).toBe(`y,,n=,r=${NONCE}`)
    expect(() => startScram(['SCRAM-SHA-256-PLUS'], null, NONCE)).toThrow(ProtocolError)
    expect(() => startScram(['GSSAPI'], HASH, NONCE)).toThrow(ProtocolError)
  })

  test('the bytes that it is bound to are in the answer', () => {
    const start = startScram(['SCRAM-SHA-256-PLUS'], HASH, NONCE)
    const challenge = readChallenge(Buffer.from(`r=${NONCE}x,s=AAAA,i=4096`), start)
    const { message } = finishScram(start, challenge, Buffer.alloc(32))
    const bound = Buffer.concat([Buffer.from('p=tls-server-end-point,,'), HASH]).toString('base64')
    expect(message).toContain(`c=${bound},`)
  })

  test.each([
    ['nothing', ''],
    ['a nonce that is not ours', 'r=other,s=AAAA,i=4096'],
    ['our nonce with nothing added', `r=${NONCE},s=AAAA,i=4096`],
    ['no salt', `r=${NONCE}x,i=4096`],
    ['a salt that is not base64', `r=${NONCE}x,s=!!!!,i=4096`],
    ['no rounds', `r=${NONCE}x,s=AAAA`],
    ['one round', `r=${NONCE}x,s=AAAA,i=1`],
    ['a round too many to wait for', `r=${NONCE}x,s=AAAA,i=1000001`],
    ['a number that is none', `r=${NONCE}x,s=AAAA,i=4096e3`],
    ['an extension that is mandatory', `m=x,r=${NONCE}x,s=AAAA,i=4096`],
    ['a message of 5,000 bytes', `r=${NONCE}${'x'.repeat(5000)},s=AAAA,i=4096`],
  ])('a challenge with %s is refused', (_name, text) => {
    expect(() => readChallenge(Buffer.from(text), startScram(['SCRAM-SHA-256'], null, NONCE))).toThrow(ProtocolError)
  })
})
