import { Refused } from '../../foundation/errors.ts'
import { html, type Html } from './html.ts'

export function signInFields(): Html {
  return html`<label for="user">Your name</label>
    <input id="user" name="user" autocomplete="username" maxlength="63" required />
    <label for="password">Password</label>
    <input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required />
    <label for="code">Code from your authenticator, if you have one</label>
    <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="10" />`
}

/** Errors: Refused('malformed') where nothing was typed, which is no try of anybody. */
export function typedSignIn(form: ReadonlyMap<string, string>): { user: string; password: string; code: string } {
  if ((form.get('user') ?? '') === '' || (form.get('password') ?? '') === '')
    throw new Refused('malformed', 'type your name and your password', 'open the page again')
  return {
    user: (form.get('user') ?? '').slice(0, 200),
    password: (form.get('password') ?? '').slice(0, 1024),
    code: (form.get('code') ?? '').replace(/\s/g, '').slice(0, 10),
  }
}
