import type { Socket } from 'node:net'

/** As `fetch` of the web, with a deadline, and an answer that is read whole. */
export type OutboundFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string | Uint8Array
    readonly signal?: AbortSignal
  },
) => Promise<OutboundAnswer>

export interface OutboundAnswer {
  readonly status: number
  /** Names in lower case */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/**
 * A plain TCP connection under the same rules as OutboundFetch, for what is not HTTP (SMTP). Who calls it speaks TLS over it and
 * checks the certificate for `host`.
 */
export type OutboundConnect = (host: string, port: number, signal: AbortSignal) => Promise<Socket>
