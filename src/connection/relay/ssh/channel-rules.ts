import type { SshPermissions } from '../../authorization.ts'

// What may pass, as tables: whatever is not named here is refused.

export type Side = 'client' | 'target'

export function otherSide(side: Side): Side {
  return side === 'client' ? 'target' : 'client'
}

export type OpenVerdict =
  | { readonly kind: 'session' }
  /** A connection that the client makes through the target: passed on once its event is stored. */
  | { readonly kind: 'local-forward'; readonly form: 'tcp' | 'streamlocal'; readonly allowed: boolean }
  /** A connection that somebody made to a port on the target which the client listens on. */
  | { readonly kind: 'remote-forward'; readonly form: 'tcp' | 'streamlocal' }
  | { readonly kind: 'agent' }
  | { readonly kind: 'unknown' }

export function openVerdict(side: Side, type: string, permissions: SshPermissions): OpenVerdict {
  if (side === 'client') {
    if (type === 'session') return { kind: 'session' }
    const allowed = permissions.portForwarding && permissions.forceCommand === null
    if (type === 'direct-tcpip') return { kind: 'local-forward', form: 'tcp', allowed }
    if (type === 'direct-streamlocal@openssh.com') return { kind: 'local-forward', form: 'streamlocal', allowed }
    return { kind: 'unknown' }
  }
  if (type === 'forwarded-tcpip') return { kind: 'remote-forward', form: 'tcp' }
  if (type === 'forwarded-streamlocal@openssh.com') return { kind: 'remote-forward', form: 'streamlocal' }
  if (type === 'auth-agent@openssh.com') return { kind: 'agent' }
  return { kind: 'unknown' }
}

/** pass: unchanged. start: begins the channel's program. The rest have a rule of their own. */
export type RequestVerdict =
  | 'pass'
  | 'pty'
  | 'resize'
  | 'env'
  | 'shell'
  | 'exec'
  | 'subsystem'
  | 'agent'
  | 'exit-status'
  | 'exit-signal'
  | 'refuse'

const FROM_CLIENT: ReadonlyMap<string, RequestVerdict> = new Map([
  ['pty-req', 'pty'],
  ['window-change', 'resize'],
  ['env', 'env'],
  ['shell', 'shell'],
  ['exec', 'exec'],
  ['subsystem', 'subsystem'],
  ['auth-agent-req@openssh.com', 'agent'],
  ['signal', 'pass'],
  ['break', 'pass'],
  ['eow@openssh.com', 'pass'],
])

const FROM_TARGET: ReadonlyMap<string, RequestVerdict> = new Map([
  ['exit-status', 'exit-status'],
  ['exit-signal', 'exit-signal'],
  ['xon-xoff', 'pass'],
  ['eow@openssh.com', 'pass'],
  // OpenSSH's ClientAlive asks on a channel when one is open.
  ['keepalive@openssh.com', 'pass'],
])

/** `isSession`: on every other kind of channel only OpenSSH's end-of-write and keepalive make sense. */
export function requestVerdict(side: Side, isSession: boolean, type: string): RequestVerdict {
  const verdict = (side === 'client' ? FROM_CLIENT : FROM_TARGET).get(type) ?? 'refuse'
  if (isSession) return verdict
  return type === 'eow@openssh.com' || type === 'keepalive@openssh.com' ? verdict : 'refuse'
}

export type GlobalVerdict =
  | 'pass'
  | 'drop'
  | 'refuse'
  | 'listen-tcp'
  | 'listen-streamlocal'
  | 'cancel-tcp'
  | 'cancel-streamlocal'
  | 'no-more-sessions'

const GLOBAL_FROM_CLIENT: ReadonlyMap<string, GlobalVerdict> = new Map([
  ['keepalive@openssh.com', 'pass'],
  ['no-more-sessions@openssh.com', 'no-more-sessions'],
  ['tcpip-forward', 'listen-tcp'],
  ['cancel-tcpip-forward', 'cancel-tcp'],
  ['streamlocal-forward@openssh.com', 'listen-streamlocal'],
  ['cancel-streamlocal-forward@openssh.com', 'cancel-streamlocal'],
])

/** The target's host keys are ours to check; the client knows only the proxy's (hostkeys-00 would teach it wrong ones). */
export function globalVerdict(side: Side, type: string): GlobalVerdict {
  if (side === 'client') return GLOBAL_FROM_CLIENT.get(type) ?? 'refuse'
  if (type === 'keepalive@openssh.com') return 'pass'
  return type.startsWith('hostkeys') ? 'drop' : 'refuse'
}

const ENV_NAMES = new Set(['LANG', 'LANGUAGE', 'COLORTERM', 'NO_COLOR', 'GIT_PROTOCOL'])
const LOCALE = /^LC_[A-Z]{1,32}$/
// A function definition in a value was enough to run it (CVE-2014-6271).
const PLAIN_VALUE = /^(?!\(\))[\x20-\x7e]{0,256}$/

/** Variables that programs take code or files from (LD_PRELOAD, BASH_ENV, GIT_SSH_COMMAND ...) are not on the list. */
export function mayPassEnv(name: string, value: string): boolean {
  return (ENV_NAMES.has(name) || LOCALE.test(name)) && PLAIN_VALUE.test(value)
}
