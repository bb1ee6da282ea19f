import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readAuthRequest, readBanner, readServiceRequest } from './auth-messages.ts'
import {
  dataOf,
  extendedDataOf,
  mustBeBare,
  readChannelOpen,
  readChannelRequest,
  readCommand,
  readEnv,
  readExitSignal,
  readExitStatus,
  readGlobalRequest,
  readOpenConfirmation,
  readPty,
  readStreamlocal,
  readStreamlocalListen,
  readSubsystem,
  readTcpForward,
  readTcpListen,
  readWindowChange,
  recipientOf,
  windowAmountOf,
} from './connection-messages.ts'
import { isPeersFault, payload } from './payload.ts'

type Read = (bytes: Buffer) => unknown

const ofRequest =
  (read: (rest: ReturnType<typeof readChannelRequest>['rest']) => unknown): Read =>
  (bytes) =>
    read(readChannelRequest(bytes).rest)
const ofOpen =
  (read: (rest: ReturnType<typeof readChannelOpen>['rest']) => unknown): Read =>
  (bytes) =>
    read(readChannelOpen(bytes).rest)
const ofGlobal =
  (read: (rest: ReturnType<typeof readGlobalRequest>['rest']) => unknown): Read =>
  (bytes) =>
    read(readGlobalRequest(bytes).rest)

/** name, reader, a message it takes, what it makes of it */
const GOOD: readonly (readonly [string, Read, Buffer, unknown])[] = [
  ['recipient', recipientOf, payload(96, 7), 7],
  ['data', dataOf, payload(94, 7, 'abc'), Buffer.from('abc')],
  ['extended data', extendedDataOf, payload(95, 7, 1, 'abc'), Buffer.from('abc')],
  ['window adjust', windowAmountOf, payload(93, 7, 99), 99],
  ['confirmation', readOpenConfirmation, payload(91, 7, 1, 2, 3), { sender: 1, window: 2, maxPacket: 3 }],
  [
    'pty',
    ofRequest(readPty),
    payload(98, 7, 'pty-req', true, 'xterm', 80, 24, 0, 0, 'm'),
    { term: 'xterm', columns: 80, rows: 24 },
  ],
  [
    'window change',
    ofRequest(readWindowChange),
    payload(98, 7, 'window-change', false, 80, 24, 0, 0),
    { columns: 80, rows: 24 },
  ],
  ['env', ofRequest(readEnv), payload(98, 7, 'env', false, 'A', 'b'), { name: 'A', value: 'b' }],
  ['exec', ofRequest(readCommand), payload(98, 7, 'exec', true, 'id'), Buffer.from('id')],
  ['subsystem', ofRequest(readSubsystem), payload(98, 7, 'subsystem', true, 'sftp'), 'sftp'],
  ['exit status', ofRequest(readExitStatus), payload(98, 7, 'exit-status', false, 3), 3],
  ['exit signal', ofRequest(readExitSignal), payload(98, 7, 'exit-signal', false, 'TERM', false, '', ''), 'TERM'],
  [
    'direct-tcpip',
    ofOpen(readTcpForward),
    payload(90, 'direct-tcpip', 1, 2, 3, 'h', 22, 'o', 1),
    { host: 'h', port: 22 },
  ],
  ['direct-streamlocal', ofOpen((r) => readStreamlocal(r, true)), payload(90, 'x', 1, 2, 3, '/s', '', 0), '/s'],
  ['forwarded-streamlocal', ofOpen((r) => readStreamlocal(r, false)), payload(90, 'x', 1, 2, 3, '/s', ''), '/s'],
  ['tcpip-forward', ofGlobal(readTcpListen), payload(80, 'tcpip-forward', true, '', 0), { host: '', port: 0 }],
  ['streamlocal-forward', ofGlobal(readStreamlocalListen), payload(80, 'x', true, '/s'), '/s'],
  ['service request', readServiceRequest, payload(5, 'ssh-userauth'), 'ssh-userauth'],
  ['banner', readBanner, payload(53, 'hello', ''), 'hello'],
  [
    'query',
    readAuthRequest,
    payload(50, 'u', 's', 'publickey', false, 'alg', 'key'),
    expect.objectContaining({ signature: null }),
  ],
  [
    'signed request',
    readAuthRequest,
    payload(50, 'u', 's', 'publickey', true, 'alg', 'key', 'sig'),
    expect.objectContaining({ signature: Buffer.from('sig') }),
  ],
  ['another method', readAuthRequest, payload(50, 'u', 's', 'none'), { method: 'other', user: 'u', service: 's' }],
]

test.each(GOOD)('%s is read', (_name, read, message, result) => {
  expect(read(message)).toEqual(result)
})

/** Where the rest does not matter to us, or belongs to the peer, more or less of it is not looked at. */
const OPEN_ENDED = new Set(['recipient', 'exit signal', 'another method', 'confirmation', 'banner'])

describe.each(GOOD)('%s', (name, read, message) => {
  test('that is cut at any byte is refused, or read as it would be without its end', () => {
    for (let length = 1; length < message.length; length++) {
      if (OPEN_ENDED.has(name)) continue
      expect(() => read(message.subarray(0, length)), `cut at ${length}`).toThrow()
    }
  })

  test('with something behind its end is refused', () => {
    if (!OPEN_ENDED.has(name)) expect(() => read(Buffer.concat([message, Buffer.of(0)]))).toThrow()
  })

  test('of any bytes throws nothing but what is the fault of the peer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.nat(message.length), (noise, at) => {
        for (const bytes of [Buffer.from(noise), Buffer.concat([message.subarray(0, Math.max(1, at)), noise])]) {
          try {
            read(bytes)
          } catch (error) {
            expect(isPeersFault(error)).toBe(true)
          }
        }
      }),
    )
  })
})

test.each([
  ['a user name of 257 bytes', () => readAuthRequest(payload(50, 'u'.repeat(257), 's', 'none'))],
  ['a user name that is not UTF-8', () => readAuthRequest(payload(50, Buffer.of(0xff), 's', 'none'))],
  [
    'a key of more than 16 KiB',
    () => readAuthRequest(payload(50, 'u', 's', 'publickey', false, 'a', Buffer.alloc(16_385))),
  ],
  [
    'a signature of more than 4 KiB',
    () => readAuthRequest(payload(50, 'u', 's', 'publickey', true, 'a', 'k', Buffer.alloc(4097))),
  ],
  ['a channel type of 65 bytes', () => readChannelOpen(payload(90, 't'.repeat(65), 1, 2, 3))],
  [
    'a command of more than 128 KiB',
    () => readCommand(readChannelRequest(payload(98, 1, 'exec', true, 'x'.repeat(131_073))).rest),
  ],
  ['a length of 2^32 - 1', () => dataOf(Buffer.concat([payload(94, 7), Buffer.of(255, 255, 255, 255)]))],
  ['extended data that is not stderr', () => extendedDataOf(payload(95, 7, 2, 'abc'))],
  ['EOF with something behind', () => mustBeBare(payload(96, 7, 'x'))],
])('%s is refused', (_what, read) => {
  expect(read).toThrow()
})
