// The user name of an SSH connection: `login+node`, or `+node` where no login is named.
import { normaliseName } from './name.ts'

export type SshUserName =
  | { readonly ok: true; readonly login: string | null; readonly node: string }
  | { readonly ok: false; readonly message: string }

/** The same as contract/common.ts LOGIN_PATTERN, which formats may not import; a test holds them together. */
const LOGIN_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
const LONGEST = 64 + 1 + 63

/** The node is lowercased like every name; a login is left as it is, because targets tell upper from lower case. */
export function parseSshUserName(text: string): SshUserName {
  if (text.length > LONGEST) return { ok: false, message: 'the user name is too long' }
  const plus = text.indexOf('+')
  if (plus < 0) return { ok: false, message: 'the user name names no node: use +NODE or LOGIN+NODE' }
  const login = text.slice(0, plus)
  if (login !== '' && !LOGIN_PATTERN.test(login)) return { ok: false, message: 'that is not the name of a login' }
  const node = normaliseName(text.slice(plus + 1))
  if (!node.ok) return { ok: false, message: 'that is not the name of a node' }
  return { ok: true, login: login === '' ? null : login, node: node.name }
}
