import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Clock } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import type { Log } from '../foundation/log.ts'

/** Those who renew certificates do it weeks before. */
const SOON_MS = 7 * 86_400_000
const REMIND_MS = 86_400_000

export interface WebTls {
  readonly keyPem: string
  /** Leaf first, then its chain */
  readonly certificatePem: string
}

type Files = NonNullable<Config['web']['certificate']>

/** A certificate that may not be shown. */
export class WebCertificateFault extends Error {
  override readonly name = 'WebCertificateFault'
}

/**
 * The certificate that browsers and vendors are shown, as its files are now. Whoever renews it replaces the files; what is there
 * meanwhile or wrongly (one of the two new, half written) changes nothing: the last good one stays.
 */
export class WebCertificate {
  readonly #files: Files
  readonly #clock: Clock
  readonly #log: Log
  #seen: string
  #current: WebTls
  #remindAt = 0

  /** Errors: WebCertificateFault with what is wrong with the files. */
  constructor(files: Files, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#files = files
    this.#clock = clock
    this.#log = log
    this.#seen = stampOf(files)
    this.#current = readWebCertificate(files)
    this.#remind()
  }

  get current(): WebTls {
    return this.#current
  }

  /** Looks at the files; true: there is another certificate now. */
  look(): boolean {
    const before = this.#current
    const stamp = stampOf(this.#files)
    if (stamp !== this.#seen) this.#readAgain(stamp)
    this.#remind()
    return this.#current !== before
  }

  #readAgain(stamp: string): void {
    this.#seen = stamp
    try {
      const read = readWebCertificate(this.#files)
      if (read.certificatePem === this.#current.certificatePem && read.keyPem === this.#current.keyPem) return
      this.#current = read
      this.#remindAt = 0
      this.#log.info({ file: this.#files.cert, until: this.#until().toISOString() }, 'the web certificate was replaced')
    } catch (error) {
      this.#log.error(
        { err: (error as Error).message, until: this.#until().toISOString() },
        'the new web certificate cannot be used: the last good one stays',
      )
    }
  }

  #remind(): void {
    const now = this.#clock.now()
    const until = this.#until()
    if (until.getTime() - now > SOON_MS || now < this.#remindAt) return
    this.#remindAt = now + REMIND_MS
    const isOver = until.getTime() <= now
    this.#log.warn(
      { file: this.#files.cert, until: until.toISOString() },
      isOver ? 'the web certificate has expired: browsers and vendors refuse it' : 'the web certificate expires soon',
    )
  }

  #until(): Date {
    return new X509Certificate(this.#current.certificatePem).validToDate
  }
}

/** Errors: WebCertificateFault. */
export function readWebCertificate({ cert, key }: Files): WebTls {
  const certificatePem = read(cert)
  const keyPem = read(key)
  const certificate = parsed(cert, 'a certificate in PEM', () => new X509Certificate(certificatePem))
  const privateKey: KeyObject = parsed(key, 'a private key in PEM without a passphrase', () => createPrivateKey(keyPem))
  if (!certificate.checkPrivateKey(privateKey)) throw new WebCertificateFault(`web: ${key} is not the key of ${cert}`)
  if (certificate.subjectAltName === undefined)
    throw new WebCertificateFault(`web: ${cert} names no host (subjectAltName), so no browser takes it`)
  return { keyPem, certificatePem }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new WebCertificateFault(
      `web: ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    )
  }
}

function parsed<T>(file: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch {
    throw new WebCertificateFault(`web: ${file} is not ${what}`)
  }
}

/** Changes whenever one of the files does, also by a link that leads elsewhere now. */
function stampOf({ cert, key }: Files): string {
  return [cert, key]
    .map((file) => {
      const stat = statSync(file, { throwIfNoEntry: false })
      return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : 'none'
    })
    .join(', ')
}
