// What the MySQL codec promises, whatever the bytes.
import { deepStrictEqual, ok } from 'node:assert'
import { AnswerReader, type Answer } from '../../../src/connection/relay/mysql/wire/answer-reader.ts'
import { acceptedFrom, askOf, CAPABILITY, has, OFFERED } from '../../../src/connection/relay/mysql/wire/capabilities.ts'
import { CommandReader } from '../../../src/connection/relay/mysql/wire/command-reader.ts'
import { COMMAND, type AnswerShape } from '../../../src/connection/relay/mysql/wire/commands.ts'
import { parametersOf } from '../../../src/connection/relay/mysql/wire/execute-parameters.ts'
import { readGreeting, writeGreeting } from '../../../src/connection/relay/mysql/wire/greeting.ts'
import {
  readHandshakeResponse,
  readSslRequest,
  writeHandshakeResponse,
  writeSslRequest,
} from '../../../src/connection/relay/mysql/wire/handshake-response.ts'
import { framed, PacketReader } from '../../../src/connection/relay/mysql/wire/packets.ts'
import { writeError } from '../../../src/connection/relay/mysql/wire/replies.ts'
import { readSignInMessage, writeSwitch } from '../../../src/connection/relay/mysql/wire/sign-in-messages.ts'
import { answerTo } from '../../../src/connection/relay/mysql/wire/sign-in-methods.ts'
import { readKill } from '../../../src/connection/relay/mysql/wire/thread-ids.ts'
import { piecesOf, type FuzzTarget } from './fuzzer.ts'
import { onlyProtocolErrors } from './only-protocol-errors.ts'

const text = (command: number, words: string): Buffer => framed(0, Buffer.from([command]), Buffer.from(words))

interface Commands {
  /** Command byte and payload as hex */
  readonly commands: string[]
  /** Bytes given out again */
  passed: Buffer[]
  isFine: boolean
}

function commandsIn(pieces: readonly Buffer[]): Commands {
  const reader = new CommandReader()
  const all: Commands = { commands: [], passed: [], isFine: true }
  let payload: Buffer[] = []
  for (const chunk of pieces) {
    reader.push(chunk)
    for (;;) {
      const read = onlyProtocolErrors(() => ({ piece: reader.next() }))
      if (read === null) return { ...all, isFine: false }
      const { piece } = read
      if (piece === null) break
      ok(piece.isFirst === (payload.length === 0), 'the first piece of a command is its first')
      all.passed.push(Buffer.from(piece.wire))
      payload.push(Buffer.from(piece.payload))
      if (!piece.isLast) continue
      const whole = Buffer.concat(payload)
      ok(whole[0] === piece.command)
      all.commands.push(`${piece.command} ${piece.sequence} ${whole.toString('hex')}`)
      payload = []
    }
  }
  return all
}

const COMMANDS: FuzzTarget = {
  name: 'mysql-commands',
  seeds: [
    text(COMMAND.QUERY, 'select 1'),
    Buffer.concat([text(COMMAND.PING, ''), text(COMMAND.STMT_PREPARE, 'select ?'), text(COMMAND.QUIT, '')]),
    text(COMMAND.QUERY, 'x'.repeat(70_000)),
    text(COMMAND.QUERY, 'kill query 1073741825;'),
  ],
  check(input) {
    const whole = commandsIn([Buffer.from(input)])
    const cut = commandsIn(piecesOf(input))
    deepStrictEqual(cut.commands, whole.commands)
    deepStrictEqual(cut.isFine, whole.isFine)
    // Nothing is given out that did not come, or in another order.
    for (const { passed } of [whole, cut]) {
      const out = Buffer.concat(passed)
      ok(out.equals(input.subarray(0, out.length)), 'other bytes came out than went in')
    }
    for (const command of whole.commands) {
      const payload = Buffer.from(command.split(' ')[2] ?? '', 'hex')
      const kill = readKill(payload)
      if (kill) ok(kill.rewrittenTo(5).length < 140)
    }
  },
}

const SHAPES: readonly AnswerShape[] = ['ok', 'results', 'prepared', 'rows', 'fields', 'text']

interface Answers {
  readonly answers: readonly Answer[]
  readonly isFine: boolean
  readonly isAtBoundary: boolean
  readonly outstanding: number
}

/** First byte: bits 0-2 how many commands wait, bit 7 DEPRECATE_EOF; second and third: which. */
function answersIn(head: Buffer, pieces: readonly Buffer[]): Answers {
  const answers: Answer[] = []
  const [flags = 0, low = 0, high = 0] = head
  const reader = new AnswerReader({ deprecatesEof: flags > 0x7f, onAnswer: (answer) => answers.push(answer) })
  for (let index = 0, which = low + 256 * high; index < (flags & 7); index++, which = Math.floor(which / 6))
    reader.expect(SHAPES[which % 6] ?? 'ok', 0)
  for (const piece of pieces) {
    const taken = reader.read(piece)
    ok(taken <= piece.length)
    if (reader.fault) return { answers, isFine: false, isAtBoundary: false, outstanding: 0 }
    ok(taken === piece.length, 'what was not passed on has a reason')
  }
  const { isAtBoundary, outstanding } = reader
  return { answers, isFine: true, isAtBoundary, outstanding }
}

const OK = Buffer.from([0, 1, 0, 2, 0, 0, 0])
const EOF = Buffer.from([0xfe, 0, 0, 2, 0])
const ROWS = [Buffer.from([1]), Buffer.from('\x03def\0\0\0\x01a'), Buffer.from('\x01x'), Buffer.from([0xfb])]
const numbered = (...payloads: readonly Buffer[]): Buffer =>
  Buffer.concat(payloads.map((payload, index) => framed(index + 1, payload)))

const ANSWERS: FuzzTarget = {
  name: 'mysql-answers',
  seeds: [
    Buffer.concat([Buffer.from([1, 0, 0]), framed(1, OK)]),
    Buffer.concat([Buffer.from([0x81, 1, 0]), numbered(...ROWS, Buffer.from([0xfe, 0, 0, 2, 0, 0, 0]))]),
    Buffer.concat([Buffer.from([1, 1, 0]), numbered(...ROWS.slice(0, 2), EOF, ...ROWS.slice(2), EOF)]),
    Buffer.concat([
      Buffer.from([0x82, 7, 0]),
      framed(1, Buffer.from([0, 0, 0, 10, 0, 0, 0])),
      framed(2, OK),
      framed(1, OK),
    ]),
    Buffer.concat([
      Buffer.from([1, 2, 0]),
      numbered(Buffer.from([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]), ...ROWS.slice(1, 3), EOF, EOF),
    ]),
    Buffer.concat([Buffer.from([1, 1, 0]), framed(1, writeError({ code: 1064, state: '42000' }, 'no'))]),
    Buffer.concat([Buffer.from([1, 5, 0]), framed(1, Buffer.from('Uptime: 1'))]),
    Buffer.concat([Buffer.from([1, 1, 0]), framed(1, Buffer.from('\xfb/etc/passwd', 'latin1'))]),
    Buffer.concat([
      Buffer.from([0]),
      Buffer.from([0, 0]),
      framed(0, writeError({ code: 1927, state: '70100' }, 'x'.repeat(700))),
    ]),
  ],
  check(input) {
    const [head, bytes] = [input.subarray(0, 3), input.subarray(3)]
    const whole = answersIn(head, [bytes])
    const cut = answersIn(head, piecesOf(bytes))
    // Of a packet that comes in pieces more has to be there before it is refused; then it has not passed as a whole.
    if (!whole.isFine && cut.isFine) deepStrictEqual({ ...cut, isFine: false, outstanding: 0 }, whole)
    else deepStrictEqual(cut, whole)
    // A server's wish for a file of the client never goes on.
    if (whole.isFine) ok(!isAskedForFile(head, bytes), 'LOCAL INFILE went on')
  },
}

/** The first packet of an answer to a command whose results may begin so, as a whole. */
function isAskedForFile(head: Buffer, bytes: Buffer): boolean {
  const [flags = 0, low = 0, high = 0] = head
  const first = SHAPES[(low + 256 * high) % SHAPES.length]
  if ((flags & 7) === 0 || first !== 'results' || bytes.length < 5) return false
  const length = bytes.readUIntLE(0, 3)
  return length > 0 && bytes.length >= 4 + length && bytes[4] === 0xfb
}

const SCRAMBLE = Buffer.alloc(20, 0x55)

const SIGN_IN: FuzzTarget = {
  name: 'mysql-sign-in',
  seeds: [
    writeGreeting({
      ...{ version: '8.4.0', threadId: 7, scramble: SCRAMBLE, capabilities: OFFERED, method: 'caching_sha2_password' },
    }),
    writeSslRequest(OFFERED, 45),
    writeHandshakeResponse({
      ...{ capabilities: OFFERED, collation: 45, user: 'app', answer: SCRAMBLE, database: 'shop' },
      method: 'mysql_native_password',
    }),
    writeSwitch('client_ed25519', Buffer.alloc(32, 1)),
    Buffer.from([1, 4]),
    OK,
    writeError({ code: 1045, state: '28000' }, 'no'),
  ],
  check(payload) {
    const greeting = onlyProtocolErrors(() => readGreeting(payload))
    if (greeting) {
      ok(greeting.scramble.length === 20)
      const asked = onlyProtocolErrors(() => askOf(greeting.capabilities, OFFERED))
      // Whatever a server offers: no compression, no files of the client, nothing that was not offered to clients.
      if (asked !== null) ok((asked & ~OFFERED) === 0 && !has(asked, CAPABILITY.COMPRESS | CAPABILITY.LOCAL_FILES))
    }
    onlyProtocolErrors(() => readSslRequest(payload))
    const response = onlyProtocolErrors(() => readHandshakeResponse(payload))
    if (response) {
      ok(!response.user.includes('\0') && !(response.database ?? '').includes('\0'))
      const accepted = onlyProtocolErrors(() => acceptedFrom(response.capabilities))
      if (accepted !== null) ok((accepted & ~OFFERED) === 0)
    }
    const said = onlyProtocolErrors(() => readSignInMessage(payload))
    if (said?.kind === 'switch') {
      const answer = onlyProtocolErrors(() => answerTo(said.method, 'secret', said.data))
      ok(answer === null || !answer.includes('secret'), 'the password was told')
    }
    const framedOnes = packetsIn([payload])
    deepStrictEqual(packetsIn(piecesOf(payload)), framedOnes)
  },
}

function packetsIn(pieces: readonly Buffer[]): readonly string[] {
  const reader = new PacketReader(16 * 1024)
  const packets: string[] = []
  for (const piece of pieces) {
    reader.push(piece)
    for (;;) {
      const read = onlyProtocolErrors(() => ({ packet: reader.next() }))
      if (read === null) return [...packets, 'refused']
      if (read.packet === null) break
      packets.push(`${read.packet.sequence} ${read.packet.payload.toString('hex')}`)
    }
  }
  return packets
}

/** COM_STMT_EXECUTE of as many parameters as the first byte says */
const PARAMETERS: FuzzTarget = {
  name: 'mysql-parameters',
  seeds: [
    Buffer.from([2, 0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0, 0xfd, 0, 7, 0, 0, 0, 2, 0x68, 0x69]),
    Buffer.from([1, 0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 12, 0, 11, 0xea, 7, 1, 2, 3, 4, 5, 6, 0, 0, 0]),
    Buffer.from([1, 0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 11, 0, 12, 1, 1, 0, 0, 0, 3, 4, 5, 6, 0, 0, 0]),
    Buffer.from([3, 0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0, 7, 1, 8, 0x80, 5, 0, 1, 0]),
  ],
  check(input) {
    const execution = {
      payload: input.subarray(1),
      count: input[0] ?? 0,
      types: null,
      apart: new Map<number, Buffer>(),
    }
    const read = parametersOf({ ...execution, isWhole: true })
    if (read && execution.count > 0) ok(read.types?.length === execution.count)
    // A front of it is read as far as it goes.
    const front = parametersOf({ ...execution, isWhole: false })
    if (read) deepStrictEqual(front, read)
    const types = Array.from({ length: execution.count }, () => ({ type: 0xfd, isUnsigned: false }))
    parametersOf({ ...execution, types, isWhole: true })
  },
}

export const MYSQL_TARGETS: readonly FuzzTarget[] = [COMMANDS, ANSWERS, SIGN_IN, PARAMETERS]
