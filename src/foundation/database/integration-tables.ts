import type { PowerRow } from './power-row.ts'

// Tables of chat and ticket products; conventions as in tables.ts.

type Vendor = 'slack' | 'mattermost' | 'jira' | 'pagerduty' | 'email' | 'webhook' | 'teams' | 'discord'

/** A chat or ticket product, or a webhook. Secrets stand apart, sealed. */
export interface IntegrationsTable extends PowerRow {
  name: string
  vendor: Vendor
  /** 0: an operator switched it off: nothing is sent and nothing taken in */
  enabled: 0 | 1
  /** `spec` of its document without `vendor`, `enabled` and `secrets` */
  settings_json: string
  /** Which secrets are stored: sorted names */
  secret_names_json: string
  /** JSON object of the secrets */
  secrets_sealed: string | null
  /** Nothing works until an operator changes it (a token was revoked); null: not so */
  broken_why: string | null
  created_at: number
  changed_at: number
  deleted_at: number | null
}

/** Who somebody at a vendor is here. A link that has ended stays as a row, and a new one is another row. */
export interface ChatAccountsTable extends PowerRow {
  /** The integration that vouched for the account: what another one says of the same account counts for nothing */
  integration_id: string
  vendor: Vendor
  tenant: string
  external_id: string
  /** As the vendor gave it when it was linked: for people, never for rights */
  external_name: string
  user_id: string
  linked_at: number
  /** Login session in which the person confirmed it, or `page` */
  linked_by: string
  ended_at: number | null
  ended_why: string | null
  /** Name of who ended it */
  ended_by: string | null
}

/** A code that an account at a vendor was shown; whoever is signed in and types it is linked with that account. */
export interface ChatLinkOffersTable {
  code_hash: string
  integration_id: string
  tenant: string
  external_id: string
  external_name: string
  created_at: number
  expires_at: number
  used_at: number | null
  /** Name of the only user who may use it, as the account wrote it; null: whoever has the code */
  for_user: string | null
}

/** A form that was opened in chat, for one person. */
export interface ChatFormsTable {
  nonce_hash: string
  integration_id: string
  account_id: string
  user_id: string
  kind: 'review' | 'ask' | 'extend'
  request_id: string | null
  /** Of the message whose button opened it */
  button_hash: string | null
  decision: 'approve' | 'deny' | null
  /** What that message showed, as in message_buttons */
  shown_json: string | null
  created_at: number
  expires_at: number
  used_at: number | null
}

/** A page on which one person confirms one decision with a second factor. */
export interface ChatConfirmationsTable {
  token_hash: string
  integration_id: string
  account_id: string
  user_id: string
  request_id: string
  decision: 'approve' | 'deny'
  /** Digests and terms that the message showed: JSON of ShownTerms */
  shown_json: string
  /** As typed in chat; null: to be typed on the page */
  reason: string | null
  duration_ms: number | null
  created_at: number
  expires_at: number
  used_at: number | null
}

/** What the page of a request showed to somebody who signed in there: good for one deed on it. */
export interface PageVisitsTable {
  token_hash: string
  user_id: string
  request_id: string
  /** Digests and terms that were shown: JSON of Shown */
  shown_json: string
  /** Of what the password was at the sign-in: another one ends the visit */
  proof_sealed: string
  /** 1 = a second factor was proven */
  has_factor: 0 | 1
  proven_at: number
  expires_at: number
  used_at: number | null
}

/** What came in from vendors and had its effect, so that a second delivery has none. Kept for 30 days. */
export interface InboxTable {
  integration_id: string
  /** SHA-256 of the vendor's id of what came in */
  event_key: string
  received_at: number
  /** Kind of the ChatOutcome */
  outcome: string
}

/** One message at one destination: `request` is kept up to date, `notice` is said once. */
export interface MessagesTable {
  id: string
  integration_id: string
  kind: 'request' | 'notice'
  request_id: string | null
  audience: 'channel' | 'reviewer' | 'requester' | 'person'
  /** `channel:ID` or `user:ID` */
  destination: string
  channel: string | null
  user_id: string | null
  /** The vendor's id of the linked account, as of the last delivery */
  account: string | null
  /** NoticeView of a notice */
  notice_json: string | null
  /** Id of the message in whose thread it belongs */
  thread_of: string | null
  /** The same with every attempt */
  once_id: string
  /** What the connector gave for it; null: not delivered yet */
  external: string | null
  desired_version: number
  /** 0: nothing was delivered yet */
  rendered_version: number
  /** `due`: desired is more than rendered; `dead`: given up until an operator retries; `dropped`: of no use any more */
  state: 'due' | 'settled' | 'dead' | 'dropped'
  attempts: number
  /** Not before then */
  due_at: number
  lease_until: number | null
  leased_by: string | null
  /** Of one without `external`: when the first attempt began of which nobody knows whether the vendor took it; null: none */
  unknown_since: number | null
  failure_kind: string | null
  failure: string | null
  failed_at: number | null
  created_at: number
  changed_at: number
  /** A notice that is not said by then is dropped */
  expires_at: number | null
  /** Sent only when nobody has answered for so long; null: at once */
  after_ms: number | null
  /** Of what was delivered last, instants aside: an edit elsewhere that shows is found by it */
  content_hash: string | null
}

/** When an integration may send again, and when it last did. Not a power row: every delivery writes it. */
export interface IntegrationPacesTable {
  integration_id: string
  /** Nothing is sent before it: the vendor said so */
  not_before: number
  why: string | null
  delivered_at: number | null
}

/** What one rendering of a message showed and offered, by the hash of the random id that its buttons carry. */
export interface MessageButtonsTable {
  button_hash: string
  message_id: string
  integration_id: string
  request_id: string
  /** Of the request */
  version: number
  /** List of MessageButton */
  buttons_json: string
  request_digest: string
  facts_digest: string
  /** JSON of `{durationMs, startAt}`: what approvals so far would have given */
  shown_json: string
  /** The vendor's name of the message on which it was pressed last: another than the message's own is a double that is adopted */
  pressed_external: string | null
  created_at: number
}
