import { hostname } from 'node:os'
import { ApiError } from '../../../contract/api-error.ts'
import { createClient, type Client } from '../../../contract/client.ts'
import type { SignedIn } from '../../../contract/login.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { localTime } from '../../shared/format-time.ts'
import { harmless } from '../../shared/harmless.ts'
import type { Proxy } from '../../shared/profile.ts'
import { readFirstLine } from '../../shared/prompt.ts'
import { renewCertificates } from '../db/renew-certificates.ts'
import { refreshSshConfig, storeSshConfig } from '../config/refresh-ssh-config.ts'
import { createDeviceKey } from './device-key.ts'
import { trustProxy } from './trust-proxy.ts'

export interface SignInOptions {
  readonly proxy: string | undefined
  readonly user: string | undefined
  readonly caPin: string | undefined
  readonly invite: string | undefined
  readonly passwordStdin: boolean
}

export async function signIn(context: CommandContext, options: SignInOptions): Promise<void> {
  const earlier = await context.profiles.load()
  const proxy = await trustProxy(context, earlier?.proxy ?? null, options)
  const { transport, close } = await context.openProxy(proxy)
  try {
    const api = createClient(transport)
    const key = createDeviceKey(`${options.user ?? 'sally'}@${hostname()}`)
    const device = { device: harmless(hostname()).slice(0, 100), sshPublicKey: key.publicLine }
    const signedIn =
      options.invite === undefined
        ? await byPassword(context, api, options, earlier?.account?.user, device)
        : await byInvitation(context, api, options, options.invite, device)
    await keep(context, proxy, key.privateFile, key.publicLine, signedIn)
    const fresh = createClient(transport, { token: signedIn.token })
    if (!signedIn.secondFactorDue) {
      await refreshSshConfig(context, fresh)
      await renewCertificates(context, fresh)
    }
    await tell(context, proxy, signedIn)
  } finally {
    close()
  }
}

interface Device {
  readonly device: string
  readonly sshPublicKey: string
}

async function byPassword(
  context: CommandContext,
  api: Client,
  options: SignInOptions,
  earlierUser: string | undefined,
  device: Device,
): Promise<SignedIn> {
  const user = options.user ?? earlierUser ?? (await askFor(context, 'user name', '--user=NAME'))
  const password = await givenPassword(context, options, `Password of ${user}`)
  const body = { user, password, ...device }
  const code = context.givenCode
  if (code !== undefined) return api.signIn({ body: { ...body, code } })
  try {
    return await api.signIn({ body })
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'second_factor_required') throw error
    return api.signIn({ body: { ...body, code: await context.secondFactorCode('Code of your authenticator app') } })
  }
}

async function byInvitation(
  context: CommandContext,
  api: Client,
  options: SignInOptions,
  code: string,
  device: Device,
): Promise<SignedIn> {
  const password = await givenPassword(context, options, 'Choose a password (10 characters or more)')
  const asked = !options.passwordStdin && (context.terminal.env['SALLY_PASSWORD'] ?? '') === ''
  if (asked && (await context.prompt.secret('The same again')) !== password)
    throw new CommandFailed('usage', 'the two passwords differ', 'The invitation still works: run the command again.')
  return api.acceptInvitation({ body: { code, password, ...device } })
}

async function givenPassword(context: CommandContext, options: SignInOptions, question: string): Promise<string> {
  if (options.passwordStdin) return readFirstLine(context.terminal.stdin)
  const given = context.terminal.env['SALLY_PASSWORD'] ?? ''
  if (given !== '') return given
  if (context.terminal.interactive) return context.prompt.secret(question)
  throw new CommandFailed('usage', 'no password was given', 'Give --password-stdin or set SALLY_PASSWORD.')
}

async function askFor(context: CommandContext, what: string, option: string): Promise<string> {
  if (context.terminal.interactive) return (await context.prompt.text(`Your ${what}`)).trim()
  throw new CommandFailed('usage', `no ${what} was given`, `Give ${option}.`)
}

async function keep(
  context: CommandContext,
  proxy: Proxy,
  privateFile: string,
  publicLine: string,
  signedIn: SignedIn,
): Promise<void> {
  const { profiles } = context
  const { user, login, token } = signedIn
  const account = { user: user.name, userId: user.id, loginId: login.id, expiresAt: login.expiresAt, token }
  await profiles.write('id', privateFile)
  await profiles.write('id.pub', `${publicLine}\n`)
  await profiles.write('id-cert.pub', `${signedIn.sshCertificate.trim()}\n`)
  await profiles.save({ proxy, account })
  // Stands even when the list of nodes cannot be had yet: an Include of a missing file is silently nothing.
  await storeSshConfig(context, { proxy, account }, [])
}

async function tell(context: CommandContext, proxy: Proxy, signedIn: SignedIn): Promise<void> {
  const { user, login, secondFactorDue } = signedIn
  const data = { user: user.name, login: login.id, expiresAt: login.expiresAt, secondFactorDue }
  await context.show(
    data,
    () => `Signed in to ${proxy.host}:${proxy.port} as ${user.name} until ${localTime(login.expiresAt)}.`,
  )
  if (secondFactorDue) context.warn('your account needs a second factor before it can do more. Run: sally mfa add')
}
