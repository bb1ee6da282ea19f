// The store's tables, one type each. Conventions: instants are integers (ms); `*_json` is canonical JSON text; digests are
// lowercase hex; sealed columns hold what identity/sealing.ts makes. `event_id` names the audit event that last changed the
// row and holds the row's hash: only commitDeed writes it.

import type {
  IntegrationsTable,
  ChatAccountsTable,
  ChatLinkOffersTable,
  ChatFormsTable,
  ChatConfirmationsTable,
  PageVisitsTable,
  InboxTable,
  MessagesTable,
  IntegrationPacesTable,
  MessageButtonsTable,
} from './integration-tables.ts'
import type { PowerRow } from './power-row.ts'

export type * from './integration-tables.ts'
export type { PowerRow }

export interface UsersTable extends PowerRow {
  name: string
  email: string | null
  /** JSON list of role ids */
  role_ids_json: string
  traits_json: string
  /** argon2id in PHC form; null until an invitation is accepted */
  password_hash: string | null
  disabled: 0 | 1
  deleted_at: number | null
  created_at: number
  /** After an admin's reset, votes do not count before this instant. */
  votes_count_from: number | null
  /** When it was last disabled, kept when it is enabled again: what was given before is over for good */
  disabled_at: number | null
  /** Of a service account, whose only sign-in is a service token: the user who answers for it. null: a person */
  service_owner_id: string | null
}

/** What a service account is known by. */
export interface ServiceTokensTable extends PowerRow {
  user_id: string
  token_hash: string
  /** JSON list, sorted */
  scopes_json: string
  note: string
  created_at: number
  created_by: string
  expires_at: number
  removed_at: number | null
}

/** Not a power row: refreshed at most once a minute, without an event. */
export interface ServiceTokenSeenTable {
  token_id: string
  last_seen_at: number
}

export interface FactorsTable extends PowerRow {
  user_id: string
  kind: 'totp'
  name: string
  secret_sealed: string
  confirmed_at: number | null
  created_at: number
}

/** Last accepted TOTP step of each factor: not a power row, so that each code does not bind anew. */
export interface FactorUsesTable {
  factor_id: string
  last_step: number
}

/** A try at a secret that failed or has not ended yet. Kept for 15 minutes. */
export interface AttemptsTable {
  id: string
  /** SHA-256 of whose secret, or from where, and of the installation */
  key_hash: string
  at: number
}

export interface InvitationsTable extends PowerRow {
  user_id: string
  code_hash: string
  expires_at: number
  used_at: number | null
}

export interface LoginSessionsTable extends PowerRow {
  user_id: string
  token_hash: string
  device: string
  /** JSON list of password | totp | invitation */
  factors_json: string
  /** When a second factor was last proven on it; null = never */
  second_factor_at: number | null
  /** `SHA256:...` of the device's SSH key */
  key_fingerprint: string
  /** `SHA256:...` of the key for which certificates for databases are made; null = none was made */
  x509_fingerprint: string | null
  address: string
  created_at: number
  expires_at: number
  ended_at: number | null
  end_reason: string | null
}

/** Not a power row: refreshed at most once a minute, without an event. */
export interface LoginSeenTable {
  login_id: string
  last_seen_at: number
}

/** Single-use proofs of a fresh second factor for one action. */
export interface StepUpsTable {
  token_hash: string
  login_id: string
  action: string
  expires_at: number
  used_at: number | null
}

export interface RolesTable extends PowerRow {
  name: string
  revision: number
  /** SHA-256 of the canonical spec */
  content_hash: string
  deleted_at: number | null
}

/** Never changed once written. id = `<role id>/<revision>`. */
export interface RoleRevisionsTable extends PowerRow {
  role_id: string
  revision: number
  spec_json: string
  content_hash: string
  /** From the document's metadata: says nothing about what the role gives */
  description: string | null
  created_at: number
}

export interface NodesTable extends PowerRow {
  name: string
  address: string
  labels_json: string
  host_key: string | null
  host_authority: string | null
  host_principal: string | null
  created_at: number
  deleted_at: number | null
}

/** Documents `kind: database`. */
export interface DatabasesTable extends PowerRow {
  name: string
  protocol: 'postgres' | 'mysql'
  /** host:port */
  address: string
  labels_json: string
  tls_mode: 'verify-full' | 'verify-ca' | 'insecure-disable'
  /** PEM of those who sign the server's certificate; null = those of the system */
  tls_authorities: string | null
  /** Name in the server's certificate; null = the host part of the address */
  tls_server_name: string | null
  /** password_md5: a password that may also be proven by MD5 */
  auth_kind: 'certificate' | 'password' | 'password_md5'
  /** JSON list of the db users whose passwords are stored, sorted */
  password_users_json: string
  /** JSON object of db user -> password, sealed; null = none */
  passwords_sealed: string | null
  /** JSON of the document's `just_in_time`; null = people use the db users that their roles name */
  just_in_time_json: string | null
  created_at: number
  deleted_at: number | null
}

/** A user of a database server that we made or are about to make: one for each person and set of database roles. */
export interface JustInTimeUsersTable extends PowerRow {
  database_id: string
  database_name: string
  user_id: string
  user_name: string
  /** On the server */
  name: string
  /** JSON list, sorted: all that it is ever given */
  db_roles_json: string
  /** open = a session needs it or has needed it: it may be there and may be unlocked. The others are what was seen last. */
  state: 'open' | 'locked' | 'dropped'
  on_end: 'lock' | 'drop'
  /** How its server is reached, as when it was opened: it is locked there even after the document has changed */
  server_json: string
  /** Until when its password is good */
  valid_until: number
  /** While it is open, where the proxy signs in by passwords; sealed */
  password_sealed: string | null
  /** Why it could not be locked or dropped, and since when */
  trouble: string | null
  trouble_at: number | null
  created_at: number
  changed_at: number
}

export interface LocksTable extends PowerRow {
  target_kind: 'user' | 'role' | 'request' | 'login' | 'node' | 'database'
  target_id: string
  target_name: string
  message: string
  created_by: string
  created_at: number
  expires_at: number | null
  removed_at: number | null
}

export interface AuthoritiesTable extends PowerRow {
  kind: AuthorityKind
  state: 'next' | 'active' | 'trusted' | 'dropped'
  algorithm: 'ed25519' | 'p256'
  /** SPKI PEM */
  public_key: string
  /** X.509 authorities: their certificate, PEM */
  certificate: string | null
  private_sealed: string
  created_at: number
}
export type AuthorityKind =
  | 'user-ssh'
  | 'onward-ssh'
  | 'host-ssh'
  | 'server-tls'
  | 'user-x509'
  | 'database-x509'
  | 'checkpoint'

/** Documents `kind: review_rule`. Rules are never re-used: one made under an old name later is another one. */
export interface ReviewRulesTable extends PowerRow {
  name: string
  spec_json: string
  /** SHA-256 of the canonical spec */
  content_hash: string
  description: string | null
  created_at: number
  deleted_at: number | null
}

/** Policy files in force. */
export interface PoliciesTable extends PowerRow {
  /** `office-hours.ts` */
  file: string
  /** JSON object of path -> TypeScript: the file and what it imports from its folder */
  modules_json: string
  /** SHA-256 of modules_json */
  content_hash: string
  /** It declares that it can only approve: failing, it abstains */
  approve_only: 0 | 1
  /** Zone of the times of day that it is given */
  zone: string
  loaded_at: number
  removed_at: number | null
}

export interface AccessRequestsTable extends PowerRow {
  kind: 'role' | 'resource' | 'extension' | 'break_glass'
  user_id: string
  /** JSON list of {id, name, revision, contentHash}, sorted by id */
  roles_json: string
  reason: string
  duration_ms: number
  created_at: number
  pending_until: number
  state: 'pending' | 'approved' | 'denied' | 'cancelled' | 'expired'
  decided_at: number | null
  resolution: string | null
  login_id: string | null
  /** What the rule saw when it was asked: the facts document */
  facts_json: string
  facts_digest: string
  request_digest: string
  annotations_json: string
  suggested_json: string
  /** Hash that finds an identical pending request */
  identity_hash: string
  /** Grows with each change of the request, its votes or its grant */
  version: number
  /** JSON list of {kind, id, name}, sorted by id; null = roles alone */
  resources_json: string | null
  /** JSON object, {login} or {db_user}; null = not narrowed */
  narrowing_json: string | null
  /** When the clock starts, as in the request digest; null = at approval */
  start_json: string | null
  /** Id of the grant that it would extend */
  extends_grant: string | null
  /** Break-glass: when enough others had acknowledged it; until then its user has no second one. null for all others */
  settled_at: number | null
  /** What rules and policies said at the last vote; null = as at the ask (facts_json) */
  automation_json: string | null
}

export interface ReviewsTable extends PowerRow {
  request_id: string
  reviewer_id: string
  /** A rule's or policy's reviewer_id is its name, as `rule:NAME`; `policy:FILE` */
  reviewer_kind: 'user' | 'rule' | 'policy'
  decision: 'approve' | 'deny'
  reason: string
  roles_json: string
  duration_ms: number | null
  request_digest: string
  facts_digest: string
  created_at: number
  /** Order in which the store committed the votes of this request: 1, 2, 3 ... */
  ordinal: number
  superseded_at: number | null
  /** The reviewer moves the start to this instant, later than asked; null leaves it */
  start_at: number | null
  /** Id of the absent user for whom a delegate counts; null = votes as self */
  on_behalf_of: string | null
}

export interface GrantsTable extends PowerRow {
  request_id: string
  user_id: string
  kind: 'role' | 'resource' | 'break_glass'
  /** JSON list of {id, name, revision, contentHash}: the pinned revisions */
  roles_json: string
  state: 'scheduled' | 'active' | 'ended'
  starts_at: number
  ends_at: number
  ended_at: number | null
  end_reason: string | null
  ended_by: string | null
  end_comment: string | null
  /** Why it gives nothing at the moment although it has not ended; its clock runs on */
  suspended: string | null
  /** The login session that asked, for roles with `bind: login` */
  login_id: string | null
  /** As in the request; null = whatever the roles give */
  resources_json: string | null
  narrowing_json: string | null
  /** Starts at first use, until this instant, else it lapses; null = does not wait for a use */
  use_by: number | null
  /** How long it lasts from its first use; ends_at is use_by + this until then */
  use_length_ms: number | null
  /** When it was approved; null on rows of before, which started then */
  approved_at: number | null
  /** When an extension last moved its end; null = never */
  moved_at: number | null
}

/** What the holder of a grant was told about its end. The row is the claim: it is told once, by whoever writes it. */
export interface GrantNoticesTable {
  /** `<grant>/<ends_at>/<minutes>` */
  id: string
  grant_id: string
  /** The end it is about: a moved end is told anew */
  ends_at: number
  /** Minutes before the end */
  minutes: number
  created_at: number
}

/** Somebody away lets somebody else vote for them, for a time. */
export interface DelegationsTable extends PowerRow {
  absent_id: string
  delegate_id: string
  /** JSON list of ids of the requested roles it is for, sorted; null = all that the absent one may review */
  role_ids_json: string | null
  reason: string
  created_at: number
  ends_at: number
  /** Ended before its time: by hand, or because one of the two was disabled, locked or removed */
  removed_at: number | null
  removed_by: string | null
  removed_why: string | null
}

/** Somebody else has looked at an access that was taken in an emergency. */
export interface AcknowledgementsTable extends PowerRow {
  request_id: string
  user_id: string
  comment: string
  created_at: number
}

/** Whom to tell when nobody answers, as the requester's roles said when the request was made. Gives no right: no power row. */
export interface EscalationsTable {
  /** `<request id>/<step>` */
  id: string
  request_id: string
  step: number
  after_ms: number
  /** created_at of the request + after_ms: not before */
  due_at: number
  /** JSON list, as in the role */
  notify_json: string
  /** null = not told */
  told_at: number | null
  /** JSON list of ids of users */
  told_json: string | null
}

/** Proxied connections. Bound, because a missing row would hide a recording. */
export interface SessionsTable extends PowerRow {
  user_id: string
  login_id: string
  protocol: 'ssh' | 'postgres' | 'mysql'
  /** Of the node or database */
  node_id: string
  node_name: string
  /** Login of the node, db user of the database */
  login: string
  /** Database inside the server; null = none was named, or no database */
  db_name: string | null
  address: string
  /** JSON lists of ids */
  request_ids_json: string
  grant_ids_json: string
  started_at: number
  ended_at: number | null
  end_reason: string | null
  /** File name inside the recordings folder */
  recording_file: string
  recording_key_sealed: string
  recording_key_id: string
  recording_mode: 'strict' | 'strict_sync' | 'best_effort'
  recording_state: 'open' | 'complete' | 'cut_short' | 'missing'
  recording_bytes: number
  recording_head: string | null
  recording_chunks: number
  contents_json: string
  /** The daemon that holds it open; null on a store with one daemon */
  instance_id: string | null
  /** The user of the database that was made for it; null = none was */
  just_in_time_id: string | null
}

/** Daemons that have this store open, or had it when they died. Not bound: it gives nothing. */
export interface InstancesTable {
  id: string
  /** For people: host and process */
  name: string
  started_at: number
  seen_at: number
  /** Not seen for this long, it is over, and so are its sessions: they outlive the store by offline_grace at most. */
  dead_after_ms: number
}

export interface AuditEventsTable {
  seq: number
  id: string
  time: number
  type: string
  actor_json: string
  /** Columns for search; the leaf is made of the same values */
  user_id: string | null
  login_id: string | null
  request_id: string | null
  grant_ids_json: string
  session_id: string | null
  resource_json: string | null
  /** `kind/name` of the resource, for search */
  resource_key: string | null
  outcome: string
  /** JSON list of {table, id, hash}: hash null = the row was removed */
  rows_json: string
  salt: string
  /** null = pruned */
  details_json: string | null
  details_hash: string
  leaf: string
  /** Chain hash up to and with this event */
  hash: string
}

/** One row, id 1: the chain's head, taken as the last lock of every deed. */
export interface ChainHeadTable {
  id: number
  seq: number
  hash: string
  time: number
}

/** What changed at which seq; feeds the snapshot and, later, other instances. */
export interface ChangeLogTable {
  seq: number
  position: number
  table_name: string
  row_id: string
}

export interface CheckpointsTable {
  /** 1, 2, 3 ...: several may have the same size, since idle minutes have theirs too */
  ordinal: number
  size: number
  note: string
  created_at: number
}

/** Messages to be told to people; claimed by deliverers. */
export interface OutboxTable {
  id: string
  /** Order of the commits: 1, 2, 3 ... */
  position: number
  topic: string
  body_json: string
  created_at: number
  delivered_at: number | null
  /** Until then it is with whoever asked for it first; null = with nobody */
  claimed_until: number | null
  /** When integrations' messages were made of it; null = not yet, or there was none */
  routed_at: number | null
}

/** By what requests are found (access/search-index.ts). */
export interface RequestTermsTable {
  kind: 'role' | 'resource' | 'reviewer'
  /** Name of a role, `kind/name` of a resource, id of a voter */
  name: string
  /** Of the request, as its order in a list */
  created_at: number
  request_id: string
}

export interface RequestTextsTable {
  request_id: string
  created_at: number
  /** Requester, roles, resources and reason, in lower case */
  words: string
}

/** What service accounts say about a request. It gives nobody anything and is part of no digest: not a power row. */
export interface RequestNotesTable {
  id: string
  request_id: string
  user_id: string
  /** One note of an account on a request for each */
  key: string
  body: string
  at: number
}

export interface InstallationTable {
  id: string
  name: string
  created_at: number
}

export interface Tables {
  installation: InstallationTable
  users: UsersTable
  factors: FactorsTable
  factor_uses: FactorUsesTable
  attempts: AttemptsTable
  invitations: InvitationsTable
  login_sessions: LoginSessionsTable
  login_seen: LoginSeenTable
  service_tokens: ServiceTokensTable
  service_token_seen: ServiceTokenSeenTable
  step_ups: StepUpsTable
  roles: RolesTable
  role_revisions: RoleRevisionsTable
  nodes: NodesTable
  databases: DatabasesTable
  just_in_time_users: JustInTimeUsersTable
  locks: LocksTable
  authorities: AuthoritiesTable
  review_rules: ReviewRulesTable
  policies: PoliciesTable
  access_requests: AccessRequestsTable
  reviews: ReviewsTable
  grants: GrantsTable
  delegations: DelegationsTable
  acknowledgements: AcknowledgementsTable
  escalations: EscalationsTable
  grant_notices: GrantNoticesTable
  sessions: SessionsTable
  instances: InstancesTable
  audit_events: AuditEventsTable
  chain_head: ChainHeadTable
  change_log: ChangeLogTable
  checkpoints: CheckpointsTable
  outbox: OutboxTable
  request_terms: RequestTermsTable
  request_texts: RequestTextsTable
  integrations: IntegrationsTable
  chat_accounts: ChatAccountsTable
  chat_link_offers: ChatLinkOffersTable
  chat_forms: ChatFormsTable
  chat_confirmations: ChatConfirmationsTable
  page_visits: PageVisitsTable
  inbox: InboxTable
  messages: MessagesTable
  integration_paces: IntegrationPacesTable
  message_buttons: MessageButtonsTable
  request_notes: RequestNotesTable
}

export const POWER_TABLES = [
  'users',
  'factors',
  'invitations',
  'login_sessions',
  'service_tokens',
  'roles',
  'role_revisions',
  'nodes',
  'databases',
  'just_in_time_users',
  'locks',
  'authorities',
  'review_rules',
  'policies',
  'access_requests',
  'reviews',
  'grants',
  'delegations',
  'acknowledgements',
  'sessions',
  'integrations',
  'chat_accounts',
] as const satisfies readonly (keyof Tables)[]
export type PowerTable = (typeof POWER_TABLES)[number]
