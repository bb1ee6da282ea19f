import { createHash, randomBytes } from 'node:crypto'

// A token of one kind is refused for every other: its prefix says the kind and is part of what is hashed.
const PREFIX = {
  login: 'sally_login_',
  invitation: 'sally_invite_',
  stepUp: 'sally_stepup_',
  service: 'sally_service_',
} as const
export type TokenKind = keyof typeof PREFIX

export interface NewToken {
  /** Shown once */
  readonly token: string
  /** Hex SHA-256, stored */
  readonly hash: string
}

/** 256 random bits behind the kind's prefix. */
export function newToken(kind: TokenKind): NewToken {
  const token = PREFIX[kind] + randomBytes(32).toString('base64url')
  return { token, hash: hashOf(token) }
}

/** Hash to look it up by; null when the text is no token of that kind. */
export function tokenHash(kind: TokenKind, text: string): string | null {
  const isOne = text.startsWith(PREFIX[kind]) && /^[A-Za-z0-9_-]{43}$/.test(text.slice(PREFIX[kind].length))
  return isOne ? hashOf(text) : null
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
