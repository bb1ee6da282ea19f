import { describe, expect, test } from 'vitest'
import { passwordMessage, saslInitial, saslResponse, TERMINATE } from './client-messages.ts'
import { ProtocolError } from './protocol-error.ts'
import {
  AUTHENTICATION_OK,
  complaint,
  keyData,
  negotiateVersion,
  readAuthentication,
  readErrorFields,
  readParameterStatus,
} from './server-messages.ts'
import { WholeMessages } from './whole-messages.ts'

describe('what we say in the name of a server', () => {
  test('an error has all fields that a client looks for, and nothing in it ends it early', () => {
    const bytes = complaint({
      severity: 'FATAL',
      code: '57P01',
      message: 'your access\0 was revoked',
      hint: 'ask again',
    })
    expect(bytes.toString('latin1')).toBe(
      `E\0\0\0${String.fromCharCode(bytes.length - 1)}SFATAL\0VFATAL\0C57P01\0Myour access was revoked\0Hask again\0\0`,
    )
    expect(readErrorFields(bytes.subarray(5))).toEqual({
      severity: 'FATAL',
      code: '57P01',
      message: 'your access was revoked',
    })
    expect(complaint({ severity: 'NOTICE', code: '00000', message: 'hello' })[0]).toBe('N'.charCodeAt(0))
  })

  test('versions, keys and the end of signing in', () => {
    expect(AUTHENTICATION_OK).toEqual(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]))
    expect(keyData(Buffer.from('12345678')).toString('latin1')).toBe('K\0\0\0\x0c12345678')
    expect(negotiateVersion(2, ['_pq_.x']).toString('latin1')).toBe('v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0')
    expect(TERMINATE).toEqual(Buffer.from([0x58, 0, 0, 0, 4]))
  })
})

describe('what a server asks while we sign in', () => {
  const ask = (code: number, rest: string | Uint8Array = ''): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(code)
    return Buffer.concat([head, Buffer.from(rest)])
  }

  test('is told apart', () => {
    expect(readAuthentication(ask(0))).toEqual({ kind: 'ok' })
    expect(readAuthentication(ask(3))).toEqual({ kind: 'cleartext' })
    expect(readAuthentication(ask(5, 'salt'))).toEqual({ kind: 'md5', salt: Buffer.from('salt') })
    expect(readAuthentication(ask(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'))).toEqual({
      kind: 'sasl',
      mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'],
    })
    expect(readAuthentication(ask(7))).toEqual({ kind: 'other', code: 7 })
  })

  test.each([
    ['an empty body', Buffer.alloc(0)],
    ['a salt of three bytes', ask(5, 'abc')],
    ['no mechanisms', ask(10, '\0')],
    ['mechanisms without an end', ask(10, 'SCRAM-SHA-256\0')],
  ])('%s is refused', (_name, body) => {
    expect(() => readAuthentication(body)).toThrow(ProtocolError)
  })

  test('our answers carry the length of what is in them', () => {
    expect(passwordMessage('secret').toString('latin1')).toBe('p\0\0\0\x0bsecret\0')
    expect(saslInitial('M', 'first').toString('latin1')).toBe('p\0\0\0\x0fM\0\0\0\0\x05first')
    expect(saslResponse('final').toString('latin1')).toBe('p\0\0\0\x09final')
  })

  test('messages are cut out whole, and what lies behind them stays', () => {
    const messages = new WholeMessages(100)
    messages.push(Buffer.concat([AUTHENTICATION_OK, keyData(Buffer.alloc(8)).subarray(0, 3)]))
    expect(messages.next()?.type).toBe(0x52)
    expect(messages.next()).toBeNull()
    messages.push(keyData(Buffer.alloc(8)).subarray(3))
    expect(messages.next()?.body.length).toBe(8)
    messages.push(Buffer.from('rest'))
    expect(messages.rest().toString()).toBe('rest')
    messages.push(Buffer.from([0x52, 0, 0, 0, 101]))
    expect(() => messages.next()).toThrow(ProtocolError)
  })

  test('a parameter status is a name and a value', () => {
    expect(readParameterStatus(Buffer.from('TimeZone\0UTC\0'))).toEqual(['TimeZone', 'UTC'])
    expect(() => readParameterStatus(Buffer.from('TimeZone'))).toThrow(ProtocolError)
  })
})
