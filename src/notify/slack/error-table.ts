import { DeliveryFailed, type FailureKind } from '../connector.ts'

// What each `error` of the Web API means for a message. https://docs.slack.dev/reference/methods, read 2026-11.

const TABLE: Readonly<Record<Exclude<FailureKind, 'retry'>, readonly string[]>> = {
  // An operator has to change something first.
  integration: [
    'invalid_auth',
    'not_authed',
    'account_inactive',
    'token_revoked',
    'token_expired',
    'no_permission',
    'missing_scope',
    'not_allowed_token_type',
    'team_access_not_granted',
    'access_denied',
    'org_login_required',
    'ekm_access_denied',
    'enterprise_is_restricted',
    'app_access_restricted',
    'forbidden_team',
    'two_factor_setup_required',
  ],
  destination: [
    'channel_not_found',
    'not_in_channel',
    'is_archived',
    'is_inactive',
    'user_disabled',
    'user_not_found',
    'users_not_found',
    'user_not_visible',
    'user_not_in_channel',
    'cannot_dm_bot',
    'invalid_user_combination',
    'messages_tab_disabled',
    'restricted_action',
    'restricted_action_non_threadable_channel',
    'restricted_action_read_only_channel',
    'restricted_action_thread_locked',
    'restricted_action_thread_only_channel',
    'posting_to_channel_denied',
    'team_not_found',
    'method_not_supported_for_channel_type',
    'thread_not_found',
    'cannot_reply_to_message',
  ],
  gone: ['message_not_found', 'cant_update_message', 'edit_window_closed'],
  defect: [
    'invalid_blocks',
    'invalid_blocks_format',
    'invalid_arguments',
    'invalid_arg_name',
    'invalid_form_data',
    'invalid_post_type',
    'missing_post_type',
    'missing_args',
    'msg_too_long',
    'msg_blocks_too_long',
    'no_text',
    'metadata_too_large',
    'view_too_large',
    'unknown_method',
    'block_mismatch',
  ],
}

const KINDS = new Map(
  (['integration', 'destination', 'gone', 'defect'] as const).flatMap((kind) =>
    TABLE[kind].map((code) => [code, kind]),
  ),
)

const RATE_LIMITED: ReadonlySet<string> = new Set(['ratelimited', 'rate_limited', 'message_limit_exceeded'])
/** Where Slack says that it is too much and not for how long: its rates are per minute. */
const RATE_WAIT_MS = 30_000

/** Codes that are not in the table count as `retry`: Slack adds some from time to time, and a dead letter ends that. */
export function failureOf(method: string, code: string, details: readonly string[]): DeliveryFailed {
  const more = details.length === 0 ? '' : ` (${details.join('; ').slice(0, 300)})`
  const text = `Slack answered ${method} with ${code.slice(0, 100)}${more}`
  if (RATE_LIMITED.has(code)) return new DeliveryFailed('retry', text, RATE_WAIT_MS)
  return new DeliveryFailed(KINDS.get(code) ?? 'retry', text)
}
