import { z } from 'zod'
import { DbName, DbUser, Login, Name } from './common.ts'
import { AccessCheck } from './access-check.ts'
import { AuditEvent, AuditQuery, Verification } from './audit.ts'
import { ChatAccount, ChatLinkOffer, LinkCode } from './chat-account.ts'
import { DatabaseCertificate, DatabaseCertificateBody, DatabaseDocument, VisibleDatabase } from './database.ts'
import { AddDelegationBody, Delegation, DelegationListQuery } from './delegation.ts'
import { Delivery } from './delivery.ts'
import { IntegrationDocument } from './integration.ts'
import { CheckAnswer, DeliveryPreview, IntegrationStatus, TestMessage } from './integration-status.ts'
import { AddLockBody, Lock } from './lock.ts'
import { AcceptInvitationBody, LoginSession, Ping, SignedIn, SignInBody } from './login.ts'
import { NodeDocument, VisibleNode } from './node.ts'
import { PastJudgement, PolicyState } from './policy.ts'
import { ReviewRuleDocument } from './review-rule.ts'
import {
  AccessRequest,
  AskBody,
  AskPreview,
  BreakGlassBody,
  ExtendBody,
  Grant,
  RequestListQuery,
  ReviewBody,
} from './request.ts'
import { RequestableQuery, RequestableResource } from './requestable.ts'
import { RequestPreview } from './request-preview.ts'
import { RequestChanges, RequestChangesQuery } from './request-change.ts'
import { AnnotateBody } from './request-note.ts'
import { RoleDocument } from './role.ts'
import { RecordingSearchPage, RecordingSearchQuery } from './recording-search.ts'
import { AddServiceTokenBody, NewServiceToken, ServiceToken, type ServiceScope } from './service-token.ts'
import { Session, SessionListQuery } from './session.ts'
import { Invitation, User, UserDocument } from './user.ts'

/** Sent by both sides as `sallyport-contract`; one apart must work. */
export const CONTRACT_VERSION = 1

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
/**
 * Who may call: `anyone`; `signed-in` (a login session; with `local` the admin socket too); `operator`: a signed-in user whose own roles' rules allow the
 * verb on the resource, or the local admin. `service` refuses everything but service tokens, `local` everything but the admin socket.
 */
export type Access =
  | { who: 'anyone' }
  | { who: 'signed-in'; local?: true }
  | { who: 'operator'; resource: string; verb: string }
  | { who: 'service' }
  | { who: 'local' }

export interface Route<
  B extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
> {
  readonly method: Method
  /** `/v1/requests/:id` */
  readonly path: string
  readonly access: Access
  /** What a service token needs to call it; without it none may. */
  readonly scope?: ServiceScope
  readonly body?: B
  readonly query?: Q
  readonly answer: R
  /** Needs a second factor not older than five minutes, bound to this very call (see `stepUp`). */
  readonly fresh?: true
  /** Why a mutating call stores no event of its own; every other mutating call does. */
  readonly eventless?: string
}

// Keeps the literal type: which fields a route has, and the names in its path, are known to callers and handlers.
const route = <const R extends Route>(r: R): R => r
const anyone: Access = { who: 'anyone' }
const signedIn: Access = { who: 'signed-in' }
/** The local admin may as well: what it never may is review, play, ask or prove factors. */
const signedInOrLocal: Access = { who: 'signed-in', local: true }
const operator = (resource: string, verb: string): Access => ({ who: 'operator', resource, verb })
const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() })
const Done = z.object({})

export const routes = {
  ping: route({ method: 'GET', path: '/v1/ping', access: anyone, answer: Ping }),

  signIn: route({ method: 'POST', path: '/v1/logins', access: anyone, body: SignInBody, answer: SignedIn }),
  acceptInvitation: route({
    method: 'POST',
    path: '/v1/invitations/accept',
    access: anyone,
    body: AcceptInvitationBody,
    answer: SignedIn,
  }),
  listLogins: route({
    method: 'GET',
    path: '/v1/logins',
    access: signedIn,
    answer: z.object({ items: z.array(LoginSession) }),
  }),
  endLogin: route({ method: 'DELETE', path: '/v1/logins/:id', access: signedInOrLocal, answer: Done }),
  me: route({
    method: 'GET',
    path: '/v1/me',
    access: signedIn,
    answer: z.object({
      user: User,
      login: LoginSession,
      grants: z.array(Grant),
      canReview: z.boolean(),
      operator: z.boolean(),
    }),
  }),
  /** Starts adding an authenticator app; nothing counts until `confirmTotp`. Fresh unless it is the first one. */
  addTotp: route({
    method: 'POST',
    path: '/v1/factors/totp',
    access: signedIn,
    body: z.strictObject({ name: z.string().min(1).max(50) }),
    answer: z.object({ id: z.string(), secret: z.string(), uri: z.string() }),
  }),
  confirmTotp: route({
    method: 'POST',
    path: '/v1/factors/:id/confirm',
    access: signedIn,
    body: z.strictObject({ code: z.string().max(10) }),
    answer: Done,
  }),
  listFactors: route({
    method: 'GET',
    path: '/v1/factors',
    access: signedIn,
    answer: z.object({
      items: z.array(
        z.object({
          id: z.string(),
          kind: z.literal('totp'),
          name: z.string(),
          createdAt: z.int(),
          confirmed: z.boolean(),
        }),
      ),
    }),
  }),
  removeFactor: route({ method: 'DELETE', path: '/v1/factors/:id', access: signedIn, fresh: true, answer: Done }),
  /** `action` = hex SHA-256 of `METHOD path\n` and the exact body bytes; the token is sent as `sallyport-step-up`, once. */
  stepUp: route({
    method: 'POST',
    path: '/v1/step-up',
    access: signedIn,
    body: z.strictObject({ action: z.string().regex(/^[0-9a-f]{64}$/), code: z.string().max(10) }),
    answer: z.object({ token: z.string() }),
  }),

  /** `sally db ls`: what the caller may use now and what they may ask for. */
  listDatabases: route({
    method: 'GET',
    path: '/v1/databases',
    access: signedIn,
    answer: z.object({ items: z.array(VisibleDatabase) }),
  }),
  checkDatabaseAccess: route({
    method: 'GET',
    path: '/v1/databases/:name/access',
    access: signedIn,
    query: z.object({ dbUser: DbUser.optional(), dbName: DbName.optional() }),
    answer: AccessCheck,
  }),
  /** `sally db login`: a certificate for the caller's own key. It says who somebody is and gives nothing. */
  issueDatabaseCertificate: route({
    method: 'POST',
    path: '/v1/databases/:name/certificate',
    access: signedIn,
    body: DatabaseCertificateBody,
    answer: DatabaseCertificate,
  }),
  listNodes: route({
    method: 'GET',
    path: '/v1/nodes',
    access: signedIn,
    answer: z.object({ items: z.array(VisibleNode) }),
  }),
  /** What `ssh` would be answered now. A node that may not be known and one that is not there get the same answer. */
  checkAccess: route({
    method: 'GET',
    path: '/v1/nodes/:name/access',
    access: signedIn,
    query: z.object({ login: Login.optional() }),
    answer: AccessCheck,
  }),

  /** Resources that the caller may use or ask for; nothing else is known to exist. */
  searchRequestable: route({
    method: 'GET',
    path: '/v1/requestable',
    access: signedIn,
    query: RequestableQuery,
    answer: page(RequestableResource),
  }),

  ask: route({
    method: 'POST',
    path: '/v1/requests',
    access: signedIn,
    body: AskBody,
    answer: z.object({ request: AccessRequest.nullable(), preview: AskPreview, existing: z.boolean() }),
  }),
  listRequests: route({
    method: 'GET',
    path: '/v1/requests',
    access: signedInOrLocal,
    scope: 'requests:read',
    query: RequestListQuery,
    answer: page(AccessRequest),
  }),
  showRequest: route({
    method: 'GET',
    path: '/v1/requests/:id',
    access: signedInOrLocal,
    scope: 'requests:read',
    answer: AccessRequest,
  }),
  /** What would change, earlier uses, hints and what is still needed: for whoever is to vote. */
  previewRequest: route({
    method: 'GET',
    path: '/v1/requests/:id/preview',
    access: signedInOrLocal,
    scope: 'requests:read',
    answer: RequestPreview,
  }),
  /**
   * Answers as soon as the request's version differs from `version`, or what is shown from `look`; after 25 s with what it is
   * then. Both are those of the last answer, whichever daemon gave it.
   */
  watchRequest: route({
    method: 'GET',
    path: '/v1/requests/:id/watch',
    access: signedInOrLocal,
    scope: 'requests:read',
    query: z.object({ version: z.coerce.number().int(), look: z.string().max(128).optional() }),
    answer: AccessRequest,
  }),
  review: route({
    method: 'POST',
    path: '/v1/requests/:id/reviews',
    access: signedIn,
    scope: 'requests:review',
    body: ReviewBody,
    answer: AccessRequest,
  }),
  /** Committed changes of requests that the caller may see, from a cursor on: a feed that survives breaks and restarts. */
  requestChanges: route({
    method: 'GET',
    path: '/v1/request-changes',
    access: signedIn,
    scope: 'requests:read',
    query: RequestChangesQuery,
    answer: RequestChanges,
  }),
  /** A note that reviewers see. It is no part of what is voted on. */
  annotate: route({
    method: 'POST',
    path: '/v1/requests/:id/notes',
    access: { who: 'service' },
    scope: 'requests:annotate',
    body: AnnotateBody,
    answer: AccessRequest,
  }),
  /** More time for the grant with this id, or that of the request with this id; answers the extension, a request of its own. */
  extendGrant: route({
    method: 'POST',
    path: '/v1/requests/:id/extend',
    access: signedIn,
    body: ExtendBody,
    answer: AccessRequest,
  }),
  cancelRequest: route({ method: 'POST', path: '/v1/requests/:id/cancel', access: signedIn, answer: AccessRequest }),
  returnGrant: route({ method: 'POST', path: '/v1/requests/:id/return', access: signedIn, answer: AccessRequest }),
  /** Whoever may review it now, and operators with request/delete. */
  revokeGrant: route({
    method: 'POST',
    path: '/v1/requests/:id/revoke',
    access: signedInOrLocal,
    body: z.strictObject({ reason: z.string().max(4096).default('') }),
    answer: AccessRequest,
  }),

  /** Fresh: a second factor bound to this very call. */
  breakGlass: route({
    method: 'POST',
    path: '/v1/break-glass',
    access: signedIn,
    fresh: true,
    body: BreakGlassBody,
    answer: AccessRequest,
  }),
  /** Reviewers of its roles and administrators, never its user. */
  acknowledge: route({
    method: 'POST',
    path: '/v1/requests/:id/acknowledge',
    access: signedIn,
    body: z.strictObject({ comment: z.string().max(4096).default('') }),
    answer: AccessRequest,
  }),

  listDelegations: route({
    method: 'GET',
    path: '/v1/delegations',
    access: signedIn,
    query: DelegationListQuery,
    answer: z.object({ items: z.array(Delegation) }),
  }),
  /** By the absent one. Fresh: it hands on the right to decide. */
  addDelegation: route({
    method: 'POST',
    path: '/v1/delegations',
    access: signedIn,
    fresh: true,
    body: AddDelegationBody,
    answer: Delegation,
  }),
  /** By either of the two, or an operator with request/delete. */
  removeDelegation: route({
    method: 'DELETE',
    path: '/v1/delegations/:id',
    access: signedInOrLocal,
    answer: Delegation,
  }),

  /** Accounts at chat and ticket products that are linked with the caller; `all` needs user/list. */
  listChatAccounts: route({
    method: 'GET',
    path: '/v1/chat/accounts',
    access: signedIn,
    query: z.strictObject({ all: z.literal('true').optional() }),
    answer: z.object({ items: z.array(ChatAccount) }),
  }),
  /** What the code that an account was shown would link. */
  lookAtChatLink: route({ method: 'GET', path: '/v1/chat/links/:code', access: signedIn, answer: ChatLinkOffer }),
  /** Fresh for whoever has a second factor. */
  linkChatAccount: route({
    method: 'POST',
    path: '/v1/chat/links',
    access: signedIn,
    body: z.strictObject({ code: LinkCode }),
    answer: ChatAccount,
  }),
  /** By whoever it is linked with, or an operator with user/update. */
  unlinkChatAccount: route({
    method: 'DELETE',
    path: '/v1/chat/accounts/:id',
    access: signedInOrLocal,
    answer: Done,
  }),

  listSessions: route({
    method: 'GET',
    path: '/v1/sessions',
    access: signedInOrLocal,
    query: SessionListQuery,
    answer: page(Session),
  }),
  showSession: route({ method: 'GET', path: '/v1/sessions/:id', access: signedInOrLocal, answer: Session }),
  /** Streams the recording as JSON lines (see recording.ts); the event is stored before the first line. */
  playSession: route({ method: 'GET', path: '/v1/sessions/:id/recording', access: signedIn, answer: z.any() }),
  /** One page of recordings that were looked into; the event is stored before the answer is given. */
  searchRecordings: route({
    method: 'GET',
    path: '/v1/recordings/search',
    access: signedIn,
    query: RecordingSearchQuery,
    answer: RecordingSearchPage,
  }),
  terminateSession: route({
    method: 'POST',
    path: '/v1/sessions/:id/terminate',
    access: operator('session', 'delete'),
    body: z.strictObject({ message: z.string().max(500).default('') }),
    answer: Done,
  }),

  createDocument: route({
    method: 'POST',
    path: '/v1/documents',
    access: signedInOrLocal,
    fresh: true,
    body: z.strictObject({ document: z.unknown(), replace: z.boolean().default(false) }),
    answer: z.object({ kind: z.string(), name: z.string(), created: z.boolean() }),
  }),
  listRoles: route({
    method: 'GET',
    path: '/v1/roles',
    access: operator('role', 'list'),
    answer: z.object({ items: z.array(RoleDocument) }),
  }),
  removeRole: route({
    method: 'DELETE',
    path: '/v1/roles/:name',
    access: operator('role', 'delete'),
    fresh: true,
    answer: Done,
  }),
  listNodeDocuments: route({
    method: 'GET',
    path: '/v1/node-documents',
    access: operator('node', 'list'),
    answer: z.object({ items: z.array(NodeDocument) }),
  }),
  removeNode: route({
    method: 'DELETE',
    path: '/v1/nodes/:name',
    access: operator('node', 'delete'),
    fresh: true,
    answer: Done,
  }),
  /** Without the passwords. */
  listDatabaseDocuments: route({
    method: 'GET',
    path: '/v1/database-documents',
    access: operator('database', 'list'),
    answer: z.object({ items: z.array(DatabaseDocument) }),
  }),
  removeDatabase: route({
    method: 'DELETE',
    path: '/v1/databases/:name',
    access: operator('database', 'delete'),
    fresh: true,
    answer: Done,
  }),
  listReviewRules: route({
    method: 'GET',
    path: '/v1/review-rules',
    access: operator('review_rule', 'list'),
    answer: z.object({ items: z.array(ReviewRuleDocument) }),
  }),
  removeReviewRule: route({
    method: 'DELETE',
    path: '/v1/review-rules/:name',
    access: operator('review_rule', 'delete'),
    fresh: true,
    answer: Done,
  }),
  /** Without the secrets. */
  listIntegrations: route({
    method: 'GET',
    path: '/v1/integrations',
    access: operator('integration', 'list'),
    answer: z.object({ items: z.array(IntegrationDocument) }),
  }),
  removeIntegration: route({
    method: 'DELETE',
    path: '/v1/integrations/:name',
    access: operator('integration', 'delete'),
    fresh: true,
    answer: Done,
  }),
  /** How each stands, with what was given up and why. */
  listIntegrationStatus: route({
    method: 'GET',
    path: '/v1/integration-status',
    access: operator('integration', 'list'),
    answer: z.object({ items: z.array(IntegrationStatus) }),
  }),
  /** Sends again what was given up, in its newest state. */
  retryIntegration: route({
    method: 'POST',
    path: '/v1/integrations/:name/retry',
    access: operator('integration', 'update'),
    body: z.strictObject({
      /** Left out: all of the integration */
      message: z.string().max(100).optional(),
    }),
    answer: z.object({ retried: z.int(), mended: z.boolean() }),
  }),
  checkIntegration: route({
    method: 'POST',
    path: '/v1/integrations/:name/check',
    access: operator('integration', 'update'),
    eventless: 'asks the vendor, and changes nothing here',
    answer: CheckAnswer,
  }),
  /** Says a line that calls itself a test, in a channel, to a person, or in all channels of the document; waits a little for what comes of it. */
  testIntegration: route({
    method: 'POST',
    path: '/v1/integrations/:name/test',
    access: operator('integration', 'update'),
    body: z.strictObject({ channel: z.string().min(1).max(320).optional(), user: Name.optional() }),
    answer: z.object({ items: z.array(TestMessage) }),
  }),
  /** Whom a request for this role would reach. */
  previewDelivery: route({
    method: 'GET',
    path: '/v1/delivery-preview',
    access: operator('integration', 'read'),
    query: z.strictObject({ role: Name, user: Name.optional() }),
    answer: DeliveryPreview,
  }),
  listPolicies: route({
    method: 'GET',
    path: '/v1/policies',
    access: operator('policy', 'list'),
    answer: z.object({ items: z.array(PolicyState) }),
  }),
  /** What rules and policies saw and said when requests were made, oldest first. */
  pastJudgements: route({
    method: 'GET',
    path: '/v1/policies/past',
    access: operator('policy', 'read'),
    query: z.object({ since: z.coerce.number().int().min(0), cursor: z.string().max(100).optional() }),
    answer: page(PastJudgement),
  }),
  /** Reads the configured folder anew; a policy that cannot be used is refused with its place, and the old ones stay. */
  reloadPolicies: route({
    method: 'POST',
    path: '/v1/policies/reload',
    access: operator('policy', 'update'),
    fresh: true,
    answer: z.object({ loaded: z.array(z.string()), changed: z.array(z.string()), removed: z.array(z.string()) }),
  }),
  listUsers: route({
    method: 'GET',
    path: '/v1/users',
    access: operator('user', 'list'),
    answer: z.object({ items: z.array(User) }),
  }),
  addUser: route({
    method: 'POST',
    path: '/v1/users',
    access: operator('user', 'create'),
    fresh: true,
    body: z.strictObject({
      name: Name,
      email: z.string().max(320).optional(),
      roles: z.array(Name).max(50),
      traits: UserDocument.shape.spec.shape.traits,
    }),
    answer: Invitation,
  }),
  removeUser: route({
    method: 'DELETE',
    path: '/v1/users/:name',
    access: operator('user', 'delete'),
    fresh: true,
    answer: Done,
  }),
  resetUser: route({
    method: 'POST',
    path: '/v1/users/:name/reset',
    access: operator('user', 'update'),
    fresh: true,
    answer: Invitation,
  }),
  endUserLogins: route({
    method: 'POST',
    path: '/v1/users/:name/end-logins',
    access: operator('user', 'update'),
    answer: z.object({ ended: z.int() }),
  }),

  /** Of service accounts. The right to make one is as strong as the accounts that there are. */
  listServiceTokens: route({
    method: 'GET',
    path: '/v1/service-tokens',
    access: operator('token', 'list'),
    answer: z.object({ items: z.array(ServiceToken) }),
  }),
  /** For an account that is not there, `user/create` is needed besides. */
  addServiceToken: route({
    method: 'POST',
    path: '/v1/service-tokens',
    access: operator('token', 'create'),
    fresh: true,
    body: AddServiceTokenBody,
    answer: NewServiceToken,
  }),
  removeServiceToken: route({
    method: 'DELETE',
    path: '/v1/service-tokens/:id',
    access: operator('token', 'delete'),
    answer: Done,
  }),

  listLocks: route({
    method: 'GET',
    path: '/v1/locks',
    access: operator('lock', 'list'),
    answer: z.object({ items: z.array(Lock) }),
  }),
  addLock: route({
    method: 'POST',
    path: '/v1/locks',
    access: operator('lock', 'create'),
    body: AddLockBody,
    answer: Lock,
  }),
  removeLock: route({
    method: 'DELETE',
    path: '/v1/locks/:id',
    access: operator('lock', 'delete'),
    fresh: true,
    answer: Done,
  }),

  searchAudit: route({
    method: 'GET',
    path: '/v1/audit/events',
    access: operator('audit', 'list'),
    query: AuditQuery,
    answer: page(AuditEvent),
  }),
  verifyAudit: route({
    method: 'POST',
    path: '/v1/audit/verify',
    access: operator('audit', 'read'),
    answer: Verification,
  }),
  acceptRollback: route({
    method: 'POST',
    path: '/v1/audit/accept-rollback',
    access: { who: 'local' },
    body: z.strictObject({ reason: z.string().min(1).max(500) }),
    answer: Done,
  }),

  listAuthorities: route({
    method: 'GET',
    path: '/v1/authorities',
    access: anyone,
    answer: z.object({
      items: z.array(
        z.object({ id: z.string(), kind: z.string(), state: z.string(), public: z.string(), createdAt: z.int() }),
      ),
    }),
  }),
  /** Four steps: init (new key, published), trust (both trusted), sign (the new one signs), drop (the old one is refused). */
  rotateAuthority: route({
    method: 'POST',
    path: '/v1/authorities/:kind/rotate',
    access: operator('authority', 'update'),
    fresh: true,
    body: z.strictObject({ step: z.enum(['init', 'trust', 'sign', 'drop', 'cancel']) }),
    answer: Done,
  }),
  /** What nobody has been told yet, oldest first. Asking again before `confirmDelivery` gives it again. */
  listDeliveries: route({
    method: 'GET',
    path: '/v1/deliveries',
    access: { who: 'local' },
    answer: z.object({ items: z.array(Delivery) }),
  }),
  /** The same for one of several deliverers: each message goes to one of them, and comes again when it is not confirmed in 30 s. */
  claimDeliveries: route({
    method: 'POST',
    path: '/v1/deliveries/claim',
    access: { who: 'local' },
    eventless: 'what it tells of has its own event',
    answer: z.object({ items: z.array(Delivery) }),
  }),
  confirmDelivery: route({
    method: 'POST',
    path: '/v1/deliveries/:id/confirm',
    access: { who: 'local' },
    eventless: 'what it tells of has its own event',
    answer: Done,
  }),
  status: route({
    method: 'GET',
    path: '/v1/status',
    access: { who: 'local' },
    answer: z.record(z.string(), z.unknown()),
  }),
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes
