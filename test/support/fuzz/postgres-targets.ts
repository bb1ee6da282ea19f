// What the PostgreSQL codec promises, whatever the bytes.
import { deepStrictEqual, ok } from 'node:assert'
import { judgeStartup } from '../../../src/connection/relay/postgres/startup-rules.ts'
import { statementRefusal } from '../../../src/connection/relay/postgres/statement-rules.ts'
import { ClientFrames, type ClientSink } from '../../../src/connection/relay/postgres/wire/client-frames.ts'
import type { Taker } from '../../../src/connection/relay/postgres/wire/long-message.ts'
import {
  cancelRequest,
  readOpening,
  SSL_REQUEST,
  startupMessage,
} from '../../../src/connection/relay/postgres/wire/opening.ts'
import {
  checkServerSignature,
  finishScram,
  readChallenge,
  startScram,
} from '../../../src/connection/relay/postgres/wire/scram.ts'
import { ServerFrames, type ServerSink } from '../../../src/connection/relay/postgres/wire/server-frames.ts'
import {
  complaint,
  keyData,
  negotiateVersion,
  parameterStatus,
  readAuthentication,
  readErrorFields,
  readParameterStatus,
} from '../../../src/connection/relay/postgres/wire/server-messages.ts'
import { WholeMessages } from '../../../src/connection/relay/postgres/wire/whole-messages.ts'
import { message } from '../raw-postgres-client.ts'
import { piecesOf, type FuzzTarget } from './fuzzer.ts'
import { onlyProtocolErrors } from './only-protocol-errors.ts'

type Event = readonly (string | number)[]

class Pieces implements Taker {
  readonly taken: Buffer[] = []
  take(piece: Buffer): void {
    this.taken.push(Buffer.from(piece))
  }
}

const hex = (bytes: Buffer | Pieces): string =>
  (bytes instanceof Pieces ? Buffer.concat(bytes.taken) : bytes).toString('hex')

class HeardClient implements ClientSink<Pieces> {
  readonly events: Event[] = []
  long(): Pieces {
    return new Pieces()
  }
  query(sql: Buffer | Pieces): void {
    this.events.push(['query', hex(sql)])
  }
  parse(name: string, sql: Buffer | Pieces): void {
    this.events.push(['parse', name, hex(sql)])
  }
  bind(portal: string, prepared: string, parameters: Buffer | Pieces): void {
    this.events.push(['bind', portal, prepared, hex(parameters)])
  }
  describe(): void {
    this.events.push(['describe'])
  }
  functionCall({ text, writes }: { readonly text: string; readonly writes: boolean }): void {
    this.events.push(['functionCall', text, String(writes)])
  }
  copyData(): void {
    this.events.push(['copyData'])
  }
  execute(portal: string): void {
    this.events.push(['execute', portal])
  }
  close(what: string, name: string): void {
    this.events.push(['close', what, name])
  }
  sync(): void {
    this.events.push(['sync'])
  }
  copyEnd(): void {
    this.events.push(['copyEnd'])
  }
  terminate(): void {
    this.events.push(['terminate'])
  }
}

/** What was told, whether all was well, and how many bytes may be passed on. */
function clientSays(pieces: readonly Buffer[]): { events: readonly Event[]; isFine: boolean; passed: number } {
  const heard = new HeardClient()
  const frames = new ClientFrames(heard)
  let passed = 0
  for (const piece of pieces) {
    const taken = onlyProtocolErrors(() => frames.feed(piece))
    if (taken === null) return { events: heard.events, isFine: false, passed }
    ok(taken <= piece.length && (taken === piece.length || frames.isTerminated))
    passed += taken
    if (frames.isTerminated) break
  }
  return { events: heard.events, isFine: true, passed }
}

const clientFrames: FuzzTarget = {
  name: 'postgres-client-frames',
  seeds: [
    message('Q', 'select 1\0'),
    Buffer.concat([message('P', 's\0select $1\0\0\0'), message('B', 'p\0s\0\0\0\0\0\0\0'), message('D', 'Pp\0')]),
    Buffer.concat([message('E', 'p\0\0\0\0\0'), message('C', 'Ss\0'), message('C', 'Pp\0'), message('S')]),
    Buffer.concat([message('d', 'x\ty\n'), message('c'), message('f', 'no\0'), message('H'), message('X')]),
    message('Q', `${'x'.repeat(70_000)}\0`),
    message('P', `name\0${'x'.repeat(70_000)}\0\0\0`),
    message('B', `portal\0prepared\0${'x'.repeat(70_000)}`),
    message('F', 'x'),
    message('F', '\0\0\x03\xb8\0\x01\0\x01\0\x02\0\0\0\x04\0\0\x10\x92\0\0\0\x04\0\x04\0\0\0\x01'),
  ],
  check(input) {
    const whole = clientSays([input])
    const cut = clientSays(piecesOf(input))
    // What ends the session may have let the messages before it through, or not yet.
    if (whole.isFine) deepStrictEqual(cut, whole)
    else ok(!cut.isFine && cut.events.length === whole.events.length)
    deepStrictEqual(cut.events, whole.events)
  },
}

class HeardServer implements ServerSink {
  readonly events: Event[] = []
  commandComplete(tag: string, rows: number, bytes: number): void {
    this.events.push(['commandComplete', tag, rows, bytes])
  }
  portalSuspended(rows: number, bytes: number): void {
    this.events.push(['portalSuspended', rows, bytes])
  }
  emptyQuery(): void {
    this.events.push(['emptyQuery'])
  }
  parseComplete(): void {
    this.events.push(['parseComplete'])
  }
  functionResult(): void {
    this.events.push(['functionResult'])
  }
  stepComplete(step: string): void {
    this.events.push(['stepComplete', step])
  }
  error(body: Buffer): void {
    const { code, message: text, severity } = readErrorFields(body)
    this.events.push(['error', body.length, code, text, severity])
  }
  parameterStatus(body: Buffer): void {
    this.events.push(['parameterStatus', body.toString('hex')])
  }
  copyIn(): void {
    this.events.push(['copyIn'])
  }
  copyBoth(): void {
    this.events.push(['copyBoth'])
  }
  ready(status: number): void {
    this.events.push(['ready', status])
  }
}

function serverSays(pieces: readonly Buffer[]): { events: readonly Event[]; isFine: boolean; atBoundary: boolean } {
  const heard = new HeardServer()
  const frames = new ServerFrames(heard)
  for (const piece of pieces) {
    const isFine = onlyProtocolErrors(() => {
      frames.feed(piece)
      return true
    })
    if (isFine === null) return { events: heard.events, isFine: false, atBoundary: false }
  }
  return { events: heard.events, isFine: true, atBoundary: frames.atBoundary }
}

const serverFrames: FuzzTarget = {
  name: 'postgres-server-frames',
  seeds: [
    Buffer.concat([message('T', '\0\0'), message('D', '\0\0'), message('C', 'SELECT 1\0'), message('Z', 'I')]),
    Buffer.concat([message('1'), message('2'), message('D', '\0\0'), message('s'), message('I'), message('Z', 'T')]),
    Buffer.concat([complaint({ severity: 'ERROR', code: '42601', message: 'no' }), message('Z', 'E')]),
    Buffer.concat([message('G', '\0\0\0'), message('W', '\0\0\0'), message('d', 'x'), parameterStatus('a', 'b')]),
    message('E', `SERROR\0M${'x'.repeat(9000)}\0\0`),
  ],
  check(input) {
    const whole = serverSays([input])
    deepStrictEqual(serverSays(piecesOf(input)), whole)
    if (whole.isFine) boundaryHolds(input)
  },
}

/** The rest of a message that is half passed on is all that is taken of what follows. */
function boundaryHolds(input: Buffer): void {
  const cut = Math.floor(input.length / 2)
  const frames = new ServerFrames(new HeardServer())
  frames.feed(input.subarray(0, cut))
  const wasAtBoundary = frames.atBoundary
  const taken = frames.feedToBoundary(input.subarray(cut))
  ok(taken <= input.length - cut)
  if (wasAtBoundary) ok(taken === 0)
  if (taken < input.length - cut) ok(frames.atBoundary)
}

const OPENINGS: FuzzTarget = {
  name: 'postgres-opening',
  seeds: [
    SSL_REQUEST,
    cancelRequest(Buffer.from('12345678')),
    startupMessage([
      ['user', 'app'],
      ['database', 'shop'],
      ['options', String.raw`-c search_path=a,b --statement_timeout=5 -c sallyport.reason=a\ b`],
      ['_pq_.x', '1'],
    ]),
  ],
  check(input) {
    const read = onlyProtocolErrors(() => readOpening(input))
    if (read === null || read.kind === 'need_more') return
    ok(read.consumed <= input.length)
    // A byte less is not enough, and what stands behind does not matter.
    deepStrictEqual(onlyProtocolErrors(() => readOpening(input.subarray(0, read.consumed - 1)))?.kind, 'need_more')
    deepStrictEqual(readOpening(input.subarray(0, read.consumed)), read)
    if (read.kind !== 'startup') return
    const verdict = judgeStartup(read, 'orders')
    if (!verdict.ok) return
    const { wanted } = verdict
    for (const name of wanted.parameters.keys())
      ok(!/^(user|database|role|session_authorization|options)$/i.test(name), `${name} is passed on`)
    onlyProtocolErrors(() => startupMessage(wanted.parameters))
  },
}

const CERTIFICATE_HASH = Buffer.alloc(32, 1)

const SIGN_IN: FuzzTarget = {
  name: 'postgres-sign-in',
  seeds: [
    Buffer.concat([message('R', '\0\0\0\nSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'), message('R', '\0\0\0\0')]),
    message('R', '\0\0\0\x0br=nonceabc,s=c2FsdA==,i=4096'),
    message('R', '\0\0\0\x0cv=c2ln'),
    message('R', '\0\0\0\x05salt'),
    Buffer.concat([parameterStatus('server_version', '15.1'), keyData(Buffer.alloc(8)), message('Z', 'I')]),
    Buffer.concat([negotiateVersion(0, ['_pq_.x']), complaint({ severity: 'FATAL', code: '28000', message: 'no' })]),
  ],
  check(input) {
    const whole = wholeMessages([input])
    deepStrictEqual(wholeMessages(piecesOf(input)), whole)
    for (const { body } of whole.messages) {
      readErrorFields(body)
      onlyProtocolErrors(() => readParameterStatus(body))
      const ask = onlyProtocolErrors(() => readAuthentication(body))
      if (ask?.kind === 'sasl') {
        const start = onlyProtocolErrors(() => startScram(ask.mechanisms, CERTIFICATE_HASH, 'nonce'))
        // Where the server can be bound to its certificate it is.
        if (start) ok(start.mechanism.endsWith('-PLUS') === ask.mechanisms.includes('SCRAM-SHA-256-PLUS'))
      }
      if (ask?.kind === 'sasl_continue' || ask?.kind === 'sasl_final') exchange(ask.data)
    }
  },
}

function exchange(data: Buffer): void {
  const start = startScram(['SCRAM-SHA-256'], null, 'nonce')
  const challenge = onlyProtocolErrors(() => readChallenge(data, start))
  if (challenge) {
    ok(challenge.iterations >= 4096 && challenge.iterations <= 1_000_000)
    ok(challenge.nonce.length > 'nonce'.length && challenge.salt.length > 0)
  }
  const final = finishScram(
    start,
    { nonce: 'nonce1', salt: Buffer.alloc(4), iterations: 4096, text: 'x' },
    Buffer.alloc(32),
  )
  const proven = onlyProtocolErrors(() => {
    checkServerSignature(data, final)
    return true
  })
  ok(proven === null, 'a signature was made up')
}

function wholeMessages(pieces: readonly Buffer[]): { messages: { type: number; body: Buffer }[]; isFine: boolean } {
  const reader = new WholeMessages(64 * 1024)
  const messages: { type: number; body: Buffer }[] = []
  for (const piece of pieces) {
    reader.push(piece)
    for (;;) {
      const read = onlyProtocolErrors(() => ({ one: reader.next() }))
      if (read === null) return { messages, isFine: false }
      if (read.one === null) break
      messages.push({ type: read.one.type, body: Buffer.from(read.one.body) })
    }
  }
  return { messages, isFine: true }
}

const STATEMENTS: FuzzTarget = {
  name: 'postgres-statement-rules',
  seeds: [
    "select 1; insert into t values ('it''s', E'\\'', $$x$$, $a$ drop $a$) -- drop",
    'explain analyze with x as (delete from t returning *) select * into y from x /* /* */ */',
    'copy t from program $$rm$$; set role postgres; do $$begin end$$; select U&"d!0061t" uescape \'!\'',
  ].map((text) => Buffer.from(text)),
  check(input) {
    const rules = { denied: ['ddl', 'copy_program'], readOnly: true } as const
    const refusal = statementRefusal(input.toString(), rules)
    ok(refusal === null || refusal !== '')
    // What is refused by itself is refused behind another statement, too.
    if (refusal !== null && !/['"$/*\\-]/.test(input.toString()))
      ok(statementRefusal(`select 1; ${input.toString()}`, rules) !== null)
  },
}

export const POSTGRES_TARGETS: readonly FuzzTarget[] = [clientFrames, serverFrames, OPENINGS, SIGN_IN, STATEMENTS]
