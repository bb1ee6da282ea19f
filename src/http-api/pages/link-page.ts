import type { FastifyReply, FastifyRequest } from 'fastify'
import { linkAccount, lookAtLink } from '../../access/from-chat/chat-accounts.ts'
import type { ChatLinkOffer } from '../../contract/chat-account.ts'
import { withProvenPerson } from '../../identity/prove-person.ts'
import { html, type Html } from './html.ts'
import { newFormMark, readForm } from './page-form.ts'
import { paramOf, type KnownServices } from './page-services.ts'
import type { PageAnswer } from './pages.ts'
import { fact } from './request-facts.ts'
import { signInFields, signInWrong, typedSignIn, type SignInWrong } from './sign-in-fields.ts'

const NOBODY = ''

/** Whoever has the code sees whom it would link, and no more. */
export async function linkPage(
  services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  // Codes are tried out by address: there is nobody yet whose tries they are.
  const attempt = await services.limiter.begin(null, services.addressOf(request))
  const offer = await lookAtLink(services, paramOf(request, 'code'), NOBODY)
  await attempt.takeBack()
  return { title: `Link ${nameOf(offer)}?`, body: shown(offer, newFormMark(request, reply)) }
}

export async function sendLink(
  services: KnownServices,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PageAnswer> {
  const form = readForm(request)
  const code = paramOf(request, 'code')
  try {
    return await linked(services, { ...typedSignIn(form), address: services.addressOf(request) }, code)
  } catch (error) {
    const wrong = signInWrong(error, form)
    const offer = await lookAtLink(services, code, NOBODY)
    const body = shown(offer, newFormMark(request, reply), wrong)
    return { title: `Link ${nameOf(offer)}?`, body, status: wrong.status }
  }
}

async function linked(
  services: KnownServices,
  input: ReturnType<typeof typedSignIn> & { readonly address: string },
  code: string,
): Promise<PageAnswer> {
  const account = await withProvenPerson(services, input, ({ id, name, hasFactor, confirmation }) => {
    const actor = { kind: 'user', id, name } as const
    return linkAccount(services, { actor, userId: id, loginId: null, confirmation, isProven: hasFactor }, code)
  })
  return {
    title: 'The account is linked',
    body: html`<p>${account.name} at ${account.vendor} acts as ${account.user} from now on. You may close this page.</p>
      <p>To part them: <code>sally chat unlink ${account.id}</code></p>`,
  }
}

const nameOf = ({ name, vendor }: ChatLinkOffer): string => `${name} at ${vendor}`

function shown(offer: ChatLinkOffer, mark: Html, wrong: SignInWrong | null = null): Html {
  return html`<p>
      This account asked to be linked with a user of Sallyport. What it does in chat is then done as that user. Go on
      only if it is your own account, and if it was you who got the code.
    </p>
    <dl>
      ${fact('Account', offer.name)}${fact('Its id', offer.externalId)}${fact('At', `${offer.vendor}, ${offer.tenant}`)}
      ${fact('Integration', offer.integration)}
      ${offer.linked === 'no' ? null : fact('Now', 'linked with a user; it changes hands only with a second factor')}
    </dl>
    <form method="post" autocomplete="off">
      ${mark}${signInFields(wrong)}<button type="submit">Link it with me</button>
    </form>`
}
