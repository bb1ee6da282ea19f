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
