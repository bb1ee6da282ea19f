import { isIP } from 'node:net'
import type { WorkerSettings } from '../connection/control-plane.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Config } from '../foundation/config.ts'
import type { Log } from '../foundation/log.ts'
import type { Authorities } from '../identity/authorities.ts'
import type { TlsLeaf } from '../identity/tls-certificates.ts'
import { WebCertificate } from './web-certificate.ts'

const LOOK_EVERY_MS = 10_000
const RETRY_MS = 60_000

/**
 * What relay workers are told: public keys and leaf keys, made anew before they expire and when an authority is rotated, and the web
 * certificate as its files are.
 */
export class WorkerSettingsSource {
  readonly #config: Config
  readonly #authorities: Authorities
  readonly #apiSocket: string
  readonly #installation: string
  readonly #clock: Clock
  readonly #log: Log
  #host: WorkerSettings['hostKey'] & { readonly renewAt: number }
  #leaf: TlsLeaf
  readonly #web: WebCertificate | null
  #timer: Timer | null = null

  private constructor(parts: SettingsParts, leaf: TlsLeaf) {
    this.#config = parts.config
    this.#authorities = parts.authorities
    this.#apiSocket = parts.apiSocket
    this.#installation = parts.installation
    this.#clock = parts.clock
    this.#log = parts.log
    this.#leaf = leaf
    const { certificate } = parts.config.web
    this.#web = certificate && new WebCertificate(certificate, parts)
    this.#host = this.#authorities.hostCertificate(this.#config.proxyName)
  }

  static async open(parts: SettingsParts): Promise<WorkerSettingsSource> {
    return new WorkerSettingsSource(parts, await parts.authorities.tlsLeaf(namesOf(parts.config)))
  }

  current(): WorkerSettings {
    const { limits, loginGraceMs, proxyName } = this.#config
    return {
      installation: this.#installation,
      proxyName,
      userAuthorities: this.#authorities.trustedBlobs('user-ssh'),
      userX509Authorities: this.#authorities.trustedPems('user-x509'),
      hostKey: this.#host,
      tls: this.#leaf,
      webTls: this.#web?.current ?? null,
      apiSocket: this.#apiSocket,
      limits: { ...limits, loginGraceMs },
      mysqlServerVersion: this.#config.mysql.serverVersion,
    }
  }

  /** New leaves from the authorities that sign now. */
  async renew(): Promise<void> {
    this.#leaf = await this.#authorities.tlsLeaf(namesOf(this.#config))
    this.#host = this.#authorities.hostCertificate(this.#config.proxyName)
  }

  /** Calls `onRenewed` each time that leaves were made anew. */
  keepFresh(onRenewed: () => void, wait = LOOK_EVERY_MS): void {
    this.#timer = this.#clock.after(wait, () => {
      const isReplaced = this.#web?.look() ?? false
      const due = Math.min(this.#leaf.renewAt, this.#host.renewAt) <= this.#clock.now()
      if (!due) {
        if (isReplaced) onRenewed()
        this.keepFresh(onRenewed)
        return
      }
      this.renew().then(
        () => {
          onRenewed()
          this.keepFresh(onRenewed)
        },
        (error: unknown) => {
          this.#log.error({ err: String(error) }, 'certificates of the proxy could not be renewed')
          this.keepFresh(onRenewed, RETRY_MS)
        },
      )
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }
}

export interface SettingsParts {
  readonly config: Config
  readonly authorities: Authorities
  readonly apiSocket: string
  readonly installation: string
  readonly clock: Clock
  readonly log: Log
}

/** By which names clients may reach the proxy: its own name, where it listens and what is published. */
function namesOf(config: Config): string[] {
  const published = config.publicAddress?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  const listening = config.listen.host
  const loopback = isIP(listening) !== 0 ? [listening] : []
  return [
    ...new Set([config.proxyName, ...(published ? [published] : []), ...loopback, '127.0.0.1', '::1', 'localhost']),
  ]
}
