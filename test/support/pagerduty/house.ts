// What there is in PagerDuty, for whoever answers calls about it.

export interface PagerDutyUser {
  readonly id: string
  readonly name: string
  readonly email: string
}

export interface OnCall {
  readonly user: string
  readonly schedule: string | null
  readonly policy: string
  readonly level: number
  readonly start: number | null
  readonly end: number | null
}

export interface Incident {
  readonly id: string
  readonly key: string
  readonly service: string
  readonly title: string
  readonly details: string
  readonly by: string
  status: 'triggered' | 'acknowledged' | 'resolved'
  resolution: string | null
  readonly notes: { readonly id: string; readonly content: string; readonly by: string; readonly created_at?: string }[]
}

export interface Alert {
  readonly key: string
  readonly service: string
  readonly summary: string
  readonly triggers: unknown[]
  state: 'triggered' | 'resolved'
}

export interface Subscription {
  readonly id: string
  readonly url: string
  readonly secrets: string[]
  drops: number
  temporarilyDisabled: boolean
}

export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly from: string | undefined
}

export interface Fault {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** What was asked is done, and never answered */
  readonly hold?: boolean
}

export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export const refusal = (status: number, code: number, ...errors: string[]): Answer => ({
  status,
  body: { error: { message: 'Invalid Input Provided', code, errors } },
})

export interface PagerDutyHouse {
  readonly service: string
  readonly routingKey: string
  readonly users: readonly PagerDutyUser[]
  readonly oncalls: readonly OnCall[]
  readonly overrides: readonly { schedule: string; user: string; start: number; end: number }[]
  readonly incidents: Map<string, Incident>
  readonly alerts: Map<string, Alert>
  readonly subscriptions: Map<string, Subscription>
  readonly pageSize: number
  now(): number
  newId(letter?: string): string
}
