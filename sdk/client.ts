import { ApiError } from '../src/contract/api-error.ts'
import { createClient, type Client } from '../src/contract/client.ts'
import type { AccessRequest, RequestPreview, RequestState } from './contract-types.ts'
import { errorOf, SallyportError } from './errors.ts'
import { pinnedTransport } from './pinned-transport.ts'
import { watchChanges, type Change, type WatchOptions } from './watch-requests.ts'

export interface ConnectOptions {
  /** HOST:PORT of the proxy */
  readonly address: string
  /** `sha256:<hex>` of the proxy's authority, as its operator gave it; several while it is rotated. There is no way without. */
  readonly caPin: string | readonly string[]
  /** `sally_service_...`, made by `sallyctl tokens add`; as a function it is asked for with each call, so that a token can be replaced while the program runs */
  readonly token: string | (() => string | Promise<string>)
}

export interface CallOptions {
  /** Ends the call with its reason; whether it had its effect is then not known */
  readonly signal?: AbortSignal
}

export interface ListOptions extends CallOptions {
  /** `all` (default): every request that the account may see; `reviewable`: those that wait for its vote; `reviewed`: those it has voted on */
  readonly scope?: 'all' | 'reviewable' | 'reviewed'
  readonly state?: RequestState
  readonly user?: string
  readonly role?: string
  /** In the reason and in names */
  readonly text?: string
}

export interface VoteOptions extends CallOptions {
  readonly reason?: string
  /** Milliseconds: an approval may shorten what is granted, never lengthen it */
  readonly duration?: number
}

export interface NoteOptions extends CallOptions {
  readonly text: string
  /** Of several notes: a new one with the same key takes the place of the old one. Default: `note` */
  readonly key?: string
}

/**
 * A service account at work. Nothing here needs more than the scopes of its token: `requests:read` (list, show, preview,
 * watch), `requests:review` (approve, deny), `requests:annotate` (annotate).
 */
export class Sallyport implements Disposable {
  readonly #api: Client
  readonly #close: () => void

  constructor({ address, caPin, token }: ConnectOptions) {
    if (typeof token === 'string') requireToken(token)
    const transport = pinnedTransport(address, typeof caPin === 'string' ? [caPin] : caPin)
    this.#api = createClient(async (call) => {
      const bearer = requireToken(typeof token === 'string' ? token : await token())
      return await transport.send({ ...call, headers: { ...call.headers, authorization: `Bearer ${bearer}` } })
    })
    this.#close = () => transport.close()
  }

  /** Pages are fetched as they are needed; the newest first. */
  async *list({ signal, ...filter }: ListOptions = {}): AsyncGenerator<AccessRequest, void, undefined> {
    let cursor: string | undefined
    do {
      const query = { ...filter, ...(cursor === undefined ? {} : { cursor }) }
      const page = await asked(() => this.#api.listRequests({ query, ...(signal ? { signal } : {}) }))
      yield* page.items
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
  }

  /** Errors: NotFound, also for a request that the account must not know of. */
  show(id: string, { signal }: CallOptions = {}): Promise<AccessRequest> {
    return asked(() => this.#api.showRequest({ params: { id }, ...(signal ? { signal } : {}) }))
  }

  /** What an approval would change, and what a decision still takes. */
  preview(id: string, { signal }: CallOptions = {}): Promise<RequestPreview> {
    return asked(() => this.#api.previewRequest({ params: { id }, ...(signal ? { signal } : {}) }))
  }

  /**
   * Approves exactly what `request` shows. Errors: RequestChanged when it is not so any more (show it again, look, decide
   * again), AlreadyResolved, NotAllowed.
   */
  approve(request: AccessRequest, options: VoteOptions = {}): Promise<AccessRequest> {
    const shown = { duration: request.grantedDuration, startAt: request.grantedStart }
    return this.#vote(request, 'approve', { ...options, shown })
  }

  /** Errors: as `approve`. */
  deny(request: AccessRequest, { reason, signal }: Omit<VoteOptions, 'duration'> = {}): Promise<AccessRequest> {
    return this.#vote(request, 'deny', { ...(reason === undefined ? {} : { reason }), ...(signal ? { signal } : {}) })
  }

  #vote(
    { id, requestDigest, factsDigest }: AccessRequest,
    decision: 'approve' | 'deny',
    { signal, ...more }: VoteOptions & { readonly shown?: { duration: number; startAt: number | null } },
  ): Promise<AccessRequest> {
    const body = { decision, requestDigest, factsDigest, ...more }
    return asked(() => this.#api.review({ params: { id }, body, ...(signal ? { signal } : {}) }))
  }

  /** A note that reviewers see beside the request. It is no part of what they vote on. Empty text takes it away. */
  annotate(id: string, { text, key, signal }: NoteOptions): Promise<AccessRequest> {
    const body = { text, ...(key === undefined ? {} : { key }) }
    return asked(() => this.#api.annotate({ params: { id }, body, ...(signal ? { signal } : {}) }))
  }

  /** What is pending, then every change, until the signal is aborted. See WatchOptions for going on after a restart. */
  watchRequests(options: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    const api = this.#api
    return watchChanges(
      {
        changes: (query, signal) => asked(() => api.requestChanges({ query, signal })),
        pending: (cursor, signal) =>
          asked(() =>
            api.listRequests({ query: { state: 'pending', order: 'asc', ...(cursor ? { cursor } : {}) }, signal }),
          ),
      },
      options,
    )
  }

  /** Lets go of idle connections. */
  close(): void {
    this.#close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Errors: SallyportError('malformed'), which holds nothing of it. */
function requireToken(token: string): string {
  if (/^sally_service_[A-Za-z0-9_-]{43}$/.test(token)) return token
  throw new SallyportError('malformed', 'this is no service token', { hint: 'make one: sallyctl tokens add NAME' })
}

async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw error instanceof ApiError ? errorOf(error, error) : error
  }
}
