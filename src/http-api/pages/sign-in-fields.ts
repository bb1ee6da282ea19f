import { REFUSALS } from '../../contract/errors.ts'
import { Refused } from '../../foundation/errors.ts'
import { codeField, sentence } from './fields.ts'
import { html, type Html } from './html.ts'

/** Why a sign-in was refused, and the name that was typed. */
export interface SignInWrong {
  readonly message: string
  readonly user: string
  readonly status: number
  /** It is the code that has to be typed anew */
  readonly isCode: boolean
}

export function signInFields(wrong: SignInWrong | null = null): Html {
  const above = wrong && !wrong.isCode ? html`<p class="wrong" role="alert">${sentence(wrong.message)}</p>` : null
  return html`${above}<label for="user">Your name</label>
    <input id="user" name="user" autocomplete="username" maxlength="63" value="${wrong?.user ?? ''}" required />
    <label for="password">Password</label>
    <input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required />
    ${codeField('Code from your authenticator, if you have one', false, wrong?.isCode === true ? wrong.message : null)}`
}

const AT_CODE = new Set(['second_factor_required', 'code_already_used'])
const TYPED_ANEW = new Set([...AT_CODE, 'bad_credentials', 'malformed'])

/** What can be typed anew; everything else is thrown again. */
export function signInWrong(error: unknown, form: ReadonlyMap<string, string>): SignInWrong {
  if (!(error instanceof Refused) || !TYPED_ANEW.has(error.code)) throw error
  const { code, message } = error
  const user = (form.get('user') ?? '').slice(0, 63)
  return { message, user, status: REFUSALS[code][0], isCode: AT_CODE.has(code) }
}

/** Errors: Refused('malformed') where nothing was typed, which is no try of anybody. */
export function typedSignIn(form: ReadonlyMap<string, string>): { user: string; password: string; code: string } {
  if ((form.get('user') ?? '') === '' || (form.get('password') ?? '') === '')
    throw new Refused('malformed', 'type your name and your password')
  return {
    user: (form.get('user') ?? '').slice(0, 200),
    password: (form.get('password') ?? '').slice(0, 1024),
    code: (form.get('code') ?? '').replace(/\s/g, '').slice(0, 10),
  }
}
