import type { Client } from '../../../contract/client.ts'
import type { User } from '../../../contract/user.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { toYaml } from '../../shared/to-yaml.ts'
import { readTarget, type Kind, type Target } from './read-target.ts'

export async function getDocuments(context: CommandContext, text: string): Promise<void> {
  const target = readTarget(text)
  const api = await context.dial.operator(context)
  const found = await findDocuments(api, target)
  // One for KIND/NAME, a list for KIND: what scripts expect of each.
  if (context.format === 'json') return context.show(target.name === null ? found : found[0], () => '')
  context.terminal.stdout.write(toYaml(found))
}

/** Throws `not found` for a name that is not there. */
export async function findDocuments(api: Client, { kind, name }: Target): Promise<unknown[]> {
  const all = await READ[kind](api)
  if (name === null) return all.map((each) => each.document)
  const found = all.find((each) => each.name === name)
  if (found === undefined)
    throw new CommandFailed('notFound', `there is no ${kind} "${name}"`, `Run: sallyctl get ${kind}`)
  return [found.document]
}

type Found = readonly { readonly name: string; readonly document: unknown }[]

const READ: Readonly<Record<Kind, (api: Client) => Promise<Found>>> = {
  role: async (api) => (await api.listRoles({})).items.map((document) => ({ name: document.metadata.name, document })),
  node: async (api) =>
    (await api.listNodeDocuments({})).items.map((document) => ({ name: document.metadata.name, document })),
  database: async (api) =>
    (await api.listDatabaseDocuments({})).items.map((document) => ({ name: document.metadata.name, document })),
  user: async (api) =>
    (await api.listUsers({})).items.map((user) => ({ name: user.name, document: userDocument(user) })),
  review_rule: async (api) =>
    (await api.listReviewRules({})).items.map((document) => ({ name: document.metadata.name, document })),
  integration: async (api) =>
    (await api.listIntegrations({})).items.map((document) => ({ name: document.metadata.name, document })),
  lock: async (api) =>
    (await api.listLocks({})).items.map((lock) => ({ name: lock.id, document: { kind: 'lock', ...lock } })),
}

function userDocument(user: User): unknown {
  const { roles, traits, disabled } = user
  const email = user.email === null ? {} : { email: user.email }
  return { kind: 'user', version: 'v1', metadata: { name: user.name }, spec: { ...email, roles, traits, disabled } }
}
