// What there is in Jira, for whoever answers calls about it.

export const STATUSES = { pending: '10', approved: '20', denied: '30', closed: '40', working: '50' } as const
export type StatusName = keyof typeof STATUSES

export interface JiraAccount {
  readonly id: string
  readonly name: string
  readonly type: 'atlassian' | 'app' | 'customer'
}

export interface HistoryEntry {
  readonly id: string
  readonly author: JiraAccount
  readonly created: number
  readonly items: readonly { readonly field: string; readonly from: string | null; readonly to: string | null }[]
}

export interface Issue {
  readonly id: string
  readonly key: string
  readonly creator: string
  readonly createdAt: number
  updatedAt: number
  summary: string
  description: unknown
  status: string
  readonly properties: Map<string, unknown>
  readonly comments: {
    readonly id: string
    readonly author: JiraAccount
    readonly body: unknown
    readonly created: number
  }[]
  readonly history: HistoryEntry[]
}

export interface Fault {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The connection ends instead of an answer */
  readonly cut?: boolean
  /** What was asked is done all the same */
  readonly after?: boolean
  /** What was asked is done, and never answered */
  readonly hold?: boolean
}

export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
}

export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export const refusal = (status: number, message: string): Answer => ({
  status,
  body: { errorMessages: [message], errors: {} },
})

export interface JiraHouse {
  readonly product: 'cloud' | 'datacenter'
  readonly project: { readonly id: string; readonly key: string }
  readonly issueType: string
  readonly bot: JiraAccount
  readonly url: string
  readonly issues: Map<string, Issue>
  readonly transitions: readonly { readonly id: string; readonly to: string; readonly from?: string }[]
  readonly searchLagMs: number
  now(): number
  newId(): string
  /** Writes down which texts are changed by this */
  log(issue: Issue, author: JiraAccount, texts: { readonly summary: string; readonly description: unknown }): void
  move(issue: Issue, to: string, author: JiraAccount, tell?: boolean): Promise<string>
  shownAccount(account: JiraAccount): object
}
