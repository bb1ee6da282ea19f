import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { generateSync } from 'otplib'
import { z } from 'zod'
import type { Client } from '../../contract/client.ts'
import type { Layout } from './layout.ts'
import { runSally } from './run-sally.ts'
import { writeWrappers, type Programs } from './wrappers.ts'

export interface Person {
  readonly name: string
  readonly roles: string[]
  readonly traits: Record<string, string[]>
}

export const PEOPLE: readonly Person[] = [
  { name: 'alice', roles: ['engineer'], traits: { team: ['shop'] } },
  { name: 'bob', roles: ['engineer', 'dba-reviewer'], traits: { team: ['dba'] } },
  { name: 'carol', roles: ['engineer', 'dba-reviewer'], traits: { team: ['dba'] } },
]

const Secrets = z.object({ password: z.string(), totp: z.string() })
export type Secrets = z.infer<typeof Secrets>
const AddedFactor = z.object({ id: z.string(), secret: z.string() })

/** Invites, signs in with the invitation, and adds a second factor: what each of them would type on the first day. */
export async function enrol(person: Person, layout: Layout, programs: Programs, api: Client): Promise<Secrets> {
  const account = person.name
  writeWrappers(layout, account, programs)
  const invitation = await api.addUser({ body: { ...person } })
  const password = randomBytes(12).toString('base64url')
  const { home } = layout.account(account)
  const sally = (args: readonly string[], env?: Record<string, string>): Promise<string> =>
    runSally(home, programs.proxyCommand, args, env)
  // "sally login --proxy=... --ca-pin=... --invite=...", as it is sent to a new colleague.
  await sally(invitation.command.split(' ').slice(1), { SALLY_PASSWORD: password })
  const factor = AddedFactor.parse(JSON.parse(await sally(['mfa', 'add', '--secret-only', '--format=json'])))
  await sally(['mfa', 'add', `--confirm=${factor.id}`, `--code=${totpCode(factor.secret)}`])
  const secrets: Secrets = { password, totp: factor.secret }
  writeFileSync(layout.account(account).secrets, JSON.stringify(secrets), { mode: 0o600 })
  return secrets
}

/** What the authenticator app would show now. */
export const totpCode = (secret: string): string => generateSync({ secret })

export const parseSecrets = (text: string): Secrets => Secrets.parse(JSON.parse(text))
