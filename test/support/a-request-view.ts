import type { MessageTask, NoticeView, RequestView } from '../../src/contract/message.ts'

const CREATED = Date.UTC(2026, 0, 1, 11, 55)
const HOUR = 3_600_000

/** A pending request as messages show it; override what matters. */
export function aRequestView(overrides: Partial<RequestView> = {}): RequestView {
  return {
    id: 'req_1',
    kind: 'role',
    url: 'https://access.example.org/requests/req_1',
    state: 'pending',
    user: 'alice',
    roles: ['dba'],
    resources: [],
    narrowing: null,
    reason: 'ticket #1234',
    duration: HOUR,
    grantedDuration: HOUR,
    start: { at: 'approval' },
    createdAt: CREATED,
    pendingUntil: CREATED + 24 * HOUR,
    decidedAt: null,
    resolution: null,
    progress: [{ role: 'dba', name: 'dba team', approvals: 0, approve: 2, denials: 0, deny: 1, met: false }],
    reviews: [],
    needed: ['2 approvals of "dba team"'],
    gives: ['3 nodes more: db-1, db-2, db-3'],
    warnings: [],
    notes: [],
    grant: null,
    ...overrides,
  }
}

export type ViewedReview = RequestView['reviews'][number]

export function aViewedReview(overrides: Partial<ViewedReview> = {}): ViewedReview {
  return {
    id: 'rev_1',
    reviewer: 'bob',
    onBehalfOf: null,
    decision: 'approve',
    reason: 'looks right',
    duration: null,
    at: CREATED + 60_000,
    counts: true,
    why: null,
    ...overrides,
  }
}

/** A message to a channel that shows the request; with `view` or `notice` something else. */
export function aMessageTask(
  overrides: Partial<Omit<MessageTask, 'content'>> & { view?: RequestView; notice?: NoticeView } = {},
): MessageTask {
  const { view, notice, ...rest } = overrides
  return {
    id: 'msg_1',
    integration: 'chat',
    audience: 'channel',
    destination: { channel: 'C1', person: null },
    external: null,
    thread: null,
    content: notice
      ? { kind: 'notice', view: notice }
      : { kind: 'request', view: view ?? aRequestView(), buttons: ['approve', 'deny', 'open'] },
    buttonId: '0123456789abcdef0123456789abcdef',
    shown: 'fedcba9876543210fedcba9876543210',
    onceId: 'once_1',
    channels: 'any',
    attempt: 1,
    ...rest,
  }
}

/** What people may type: markup, mentions and links of every vendor, controls, bidi, and much of it. */
export const HOSTILE_TEXTS: readonly string[] = [
  '<!channel> <@U1> <https://evil.example|Open request> &lt; *_~ ``` ` > quote',
  '@everyone @here <@123456789012345678> <@&123456789012345678> <#123456789012345678> </access:1> <t:1:R> <:a:1> <id:guide>',
  '[Open](https://evil.example/x) ![](https://evil.example/p.png) <https://evil.example> http://evil.example www.evil.example',
  '[~admin] {noformat} !img.png! {html}<b>x</b>{html} h1. title',
  '${reason} ${$root} {{DATE(2026-01-01T00:00:00Z,SHORT)}} @{triggerBody()} <at>Ada</at>',
  '</td></tr></table><script>alert(1)</script><img src="https://evil.example/p.gif" onerror=alert(1)><a href=javascript:x>y</a>',
  '"><style>*{display:none}</style><!-- --> <base href=https://evil.example> &amp; &#106;avascript:',
  'approve\r\nBcc: victim@example.org\r\nSubject: approved\r\n\r\n.\r\nRSET',
  'mailto:a@b.example tel:+123 data:text/html,x javascript:alert(1) evil.example/x',
  '\u202eevil\u202c \u200b\u200d\u2066x\u2069 \u0000\u001b[31m \ud800 \udc00 \u{e0041} \u2028 \u2029',
  '# head\n> quote\n- list\n1. one\n---\n||spoiler|| __u__ ~~s~~ `c` \\',
  '\u{1f600}'.repeat(5000),
  'x'.repeat(20_000),
]
