// Secrets that people paste into reasons. Found by their own marks, in linear time; what is masked is gone from what goes out.

interface Mark {
  readonly what: string
  readonly pattern: RegExp
  /** Group that stays in front of the mask */
  readonly keeps?: true
}

const MARKS: readonly Mark[] = [
  {
    what: 'a private key',
    pattern: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
  },
  { what: 'an AWS access key', pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}/g },
  { what: 'a GitHub token', pattern: /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})/g },
  { what: 'a GitLab token', pattern: /(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{16,}/g },
  { what: 'a Slack token', pattern: /(?<![A-Za-z0-9])(?:xox[a-z]|xapp)-[A-Za-z0-9-]{8,}/g },
  { what: 'a token (JWT)', pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*/g },
  { what: 'a webhook secret', pattern: /(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{16,}/g },
  { what: 'an API key', pattern: /(?<![A-Za-z0-9])(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}/g },
  {
    what: 'an API key',
    pattern: /(?<![A-Za-z0-9])(?:AIza[A-Za-z0-9_-]{30,}|npm_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,})/g,
  },
  { what: 'a password in an address', pattern: /(:\/\/[^\s:/@]{0,100}:)[^\s/@]{1,200}(?=@)/g, keeps: true },
  { what: 'a bearer token', pattern: /((?<![A-Za-z])bearer\s{1,4})[A-Za-z0-9._~+/=-]{16,}/gi, keeps: true },
  {
    what: 'a password',
    pattern:
      /((?<![A-Za-z])(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|client[_-]?secret)["']?\s{0,4}(?:=|:=)\s{0,4})(?:"[^"\n]{1,500}"|'[^'\n]{1,500}'|[^\s,;"']{1,500})/gi,
    keeps: true,
  },
  {
    what: 'a password',
    pattern:
      /((?<![A-Za-z])(?:password|passwd|passphrase|pwd|api[_-]?key|access[_-]?key|client[_-]?secret)["']?\s{0,4}:\s{0,4})(?:"[^"\n]{1,500}"|'[^'\n]{1,500}'|[^\s,;"']{6,500})/gi,
    keeps: true,
  },
]

const MASK = '[secret removed]'

/** The text without what looks like a secret: for wherever others than its readers may look. */
export function maskSecrets(text: string): string {
  return MARKS.reduce(
    (masked, { pattern, keeps }) =>
      keeps ? masked.replace(pattern, (_all, kept: string) => `${kept}${MASK}`) : masked.replace(pattern, MASK),
    text,
  )
}

/** What the text seems to hold, in words: `an AWS access key`. Empty: nothing. */
export function secretsIn(text: string): string[] {
  return [...new Set(MARKS.filter(({ pattern }) => text.search(pattern) !== -1).map(({ what }) => what))]
}
