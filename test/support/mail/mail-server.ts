import type { AddressInfo } from 'node:net'
import { domainToASCII } from 'node:url'
import { SMTPServer } from 'smtp-server'
import { TestAuthority } from '../test-authority.ts'
import { readMail, type ReadMail } from './read-mail.ts'

export interface TakenMail extends ReadMail {
  readonly from: string
  readonly to: string
  readonly raw: string
}

/** What the server says instead of 250, by the recipient; `once`: the first time only. */
interface Refusal {
  readonly code: number
  readonly text: string
  readonly once?: boolean
}

export interface MailServer extends AsyncDisposable {
  readonly port: number
  /** PEM of who signed the server's certificate for `localhost` */
  readonly ca: string
  /** In the order of arrival; a mail with a Message-ID that is there already is not delivered again */
  readonly mails: TakenMail[]
  /** What was refused at DATA, with the reason */
  readonly refused: string[]
  readonly refusals: Map<string, Refusal>
  /** How often somebody connected */
  connections: number
  /** null: in order. Else the answer to every MAIL FROM */
  outage: Refusal | null
  /** Drops the connection after it has taken so many more mails, before it says so */
  dropAfter: number | null
  /** Takes the next mails and says nothing: whoever sent them never learns that they are there */
  silent: boolean
  /** Mails that were sent once more under a Message-ID that is there already */
  readonly folded: string[]
}

interface MailServerOptions {
  readonly implicitTls?: boolean
  readonly user?: { readonly name: string; readonly password: string }
  /** Offers no STARTTLS */
  readonly withoutTls?: boolean
  readonly names?: readonly string[]
}

const refusal = ({ code, text }: Refusal): Error => Object.assign(new Error(text), { responseCode: code })

const asciiDomain = (address: string): string =>
  address.replace(/@(.*)$/, (_, domain: string) => `@${domainToASCII(domain)}`)

/** A mail server that insists on TLS, on a password where it has users, and on mails that are what they should be. */
export async function mailServer(options: MailServerOptions = {}): Promise<MailServer> {
  const authority = await TestAuthority.make('mail test')
  const { keyPem, certificatePem } = await authority.server(options.names ?? ['localhost'])
  const { user } = options
  const server = new SMTPServer({
    secure: options.implicitTls ?? false,
    key: keyPem,
    cert: certificatePem,
    logger: false,
    hideSTARTTLS: options.withoutTls ?? false,
    disabledCommands: [...(options.withoutTls ? ['STARTTLS'] : []), ...(user ? [] : ['AUTH'])],
    authOptional: user === undefined,
    authMethods: ['PLAIN'],
    hideSMTPUTF8: false,
    closeTimeout: 100,
    onConnect(_session, done) {
      state.connections += 1
      done()
    },
    onAuth(auth, session, done) {
      if (!session.secure) return done(refusal({ code: 538, text: '5.7.11 a password in clear' }))
      if (auth.username === user?.name && auth.password === user?.password) return done(null, { user: auth.username })
      // As some servers do, the answer repeats what it was told.
      done(refusal({ code: 535, text: `5.7.8 wrong password ${auth.password} of ${auth.username}` }))
    },
    onMailFrom(_address, session, done) {
      if (!session.secure) return done(refusal({ code: 530, text: '5.7.0 STARTTLS first' }))
      done(state.outage === null ? null : refusal(state.outage))
    },
    onRcptTo({ address }, _session, done) {
      const refused = state.refusals.get(address)
      if (refused?.once === true) state.refusals.delete(address)
      done(refused ? refusal(refused) : null)
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const from = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address
        const to = session.envelope.rcptTo.map(({ address }) => address)
        try {
          take(Buffer.concat(chunks).toString('utf8'), from, to)
        } catch (error) {
          const why = error instanceof Error ? error.message : 'unreadable'
          state.refused.push(why)
          return done(refusal({ code: 554, text: `5.6.0 ${why}` }))
        }
        if (state.silent) return
        if (state.dropAfter !== null && --state.dropAfter < 0) {
          state.dropAfter = null
          for (const connection of server.connections) connection.close()
          return
        }
        done()
      })
    },
  })
  function take(raw: string, from: string, to: readonly string[]): void {
    const mail = readMail(raw)
    const [recipient, ...others] = to
    if (recipient === undefined || others.length > 0) throw new Error('a mail to several')
    const named = mail.headers.get('to') ?? ''
    if (asciiDomain(named) !== asciiDomain(recipient))
      throw new Error(`another recipient in the header (${named}) than in the envelope (${recipient})`)
    if (!mail.headers.get('from')?.includes(from)) throw new Error('another sender in the header than in the envelope')
    const id = mail.headers.get('message-id')
    const known = state.mails.some((taken) => taken.to === recipient && taken.headers.get('message-id') === id)
    if (known) state.folded.push(`${recipient} ${mail.headers.get('subject')}`)
    else state.mails.push({ ...mail, from, to: recipient, raw })
  }
  server.on('error', () => {})
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve())
  })
  const state: MailServer = {
    port: (server.server.address() as AddressInfo).port,
    ca: authority.certificatePem,
    mails: [],
    refused: [],
    refusals: new Map(),
    connections: 0,
    outage: null,
    dropAfter: null,
    silent: false,
    folded: [],
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return state
}
