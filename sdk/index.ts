// @sallyport/sdk: programs of your own beside Sallyport. README.md shows how; docs/sdk.md says what is promised.
export { Sallyport } from './client.ts'
export type { CallOptions, ConnectOptions, ListOptions, NoteOptions, VoteOptions } from './client.ts'
export type * from './contract-types.ts'
export {
  AlreadyResolved,
  BadSignature,
  CursorGone,
  NotAllowed,
  NotFound,
  RequestChanged,
  SallyportError,
  TokenRefused,
  Unavailable,
  Untrusted,
} from './errors.ts'
export type { Change, WatchOptions } from './watch-requests.ts'
export { signWebhook, verifyWebhook } from './webhook.ts'
export type { VerifiedWebhook, WebhookHeaders } from './webhook.ts'
