import { ERROR, ProtocolError } from './protocol-error.ts'

export const CAPABILITY = {
  /** MySQL's name is LONG_PASSWORD; to MariaDB a server without it has extended capabilities, which we do not speak. */
  MYSQL: 1,
  FOUND_ROWS: 1 << 1,
  LONG_FLAG: 1 << 2,
  CONNECT_WITH_DB: 1 << 3,
  COMPRESS: 1 << 5,
  LOCAL_FILES: 1 << 7,
  IGNORE_SPACE: 1 << 8,
  PROTOCOL_41: 1 << 9,
  INTERACTIVE: 1 << 10,
  SSL: 1 << 11,
  TRANSACTIONS: 1 << 13,
  SECURE_CONNECTION: 1 << 15,
  MULTI_STATEMENTS: 1 << 16,
  MULTI_RESULTS: 1 << 17,
  PS_MULTI_RESULTS: 1 << 18,
  PLUGIN_AUTH: 1 << 19,
  PLUGIN_AUTH_LENENC: 1 << 21,
  SESSION_TRACK: 1 << 23,
  DEPRECATE_EOF: 1 << 24,
} as const

const { MYSQL, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB, IGNORE_SPACE, PROTOCOL_41, INTERACTIVE, SSL } = CAPABILITY
const { TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS } = CAPABILITY
const { PLUGIN_AUTH, SESSION_TRACK, DEPRECATE_EOF } = CAPABILITY

/** What changes what statements mean or answers look like, and that this relay understands. */
const RELAYED =
  FOUND_ROWS |
  LONG_FLAG |
  CONNECT_WITH_DB |
  IGNORE_SPACE |
  INTERACTIVE |
  TRANSACTIONS |
  (MULTI_STATEMENTS | MULTI_RESULTS | PS_MULTI_RESULTS | SESSION_TRACK | DEPRECATE_EOF)

const ALWAYS = MYSQL | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH

/**
 * All that is offered to clients. Left out on purpose: compression (the framing would not be seen), LOCAL INFILE (a server
 * could read the client's files), query attributes, optional metadata and MariaDB's extensions (other layouts of messages
 * that are read here).
 */
export const OFFERED = ALWAYS | RELAYED | SSL

/** They change the layout of answers, so both sides must have them or neither. */
const SAME_ON_BOTH_SIDES = [
  [DEPRECATE_EOF, 'DEPRECATE_EOF'],
  [SESSION_TRACK, 'SESSION_TRACK'],
] as const

export const has = (flags: number, capability: number): boolean => (flags & capability) !== 0

/** The client's flags, without what was not offered. */
export function acceptedFrom(client: number): number {
  if (!has(client, PROTOCOL_41))
    throw new ProtocolError('this client speaks a protocol from before 4.1', ERROR.badHandshake)
  return client & OFFERED
}

/** What we ask the server for: what the client has asked us for. */
export function askOf(server: number, accepted: number): number {
  for (const needed of [PROTOCOL_41, SECURE_CONNECTION]) {
    if (!has(server, needed)) throw new ProtocolError('the server speaks a protocol from before 4.1')
  }
  for (const [capability, name] of SAME_ON_BOTH_SIDES) {
    if (has(accepted, capability) && !has(server, capability))
      throw new ProtocolError(`the server is too old: it lacks ${name}`)
  }
  return (accepted & RELAYED & server) | (ALWAYS & server) | MYSQL
}
