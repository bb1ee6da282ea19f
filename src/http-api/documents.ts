import { listIntegrationDocuments, putIntegration, removeIntegration } from '../access/integrations/integrations.ts'
import { decidingNow, listReviewRules, putReviewRule, removeReviewRule } from '../access/automate/review-rules.ts'
import { DatabaseDocument } from '../contract/database.ts'
import { IntegrationDocument } from '../contract/integration.ts'
import { NodeDocument } from '../contract/node.ts'
import { ReviewRuleDocument } from '../contract/review-rule.ts'
import { RoleDocument } from '../contract/role.ts'
import { UserDocument } from '../contract/user.ts'
import { normaliseName } from '../formats/name.ts'
import { Refused } from '../foundation/errors.ts'
import { listRoles, putRole, removeRole } from '../identity/roles.ts'
import { putUser } from '../identity/users.ts'
import { listDatabaseDocuments, putDatabase, removeDatabase } from '../resources/databases.ts'
import { listNodeDocuments, putNode, removeNode } from '../resources/nodes.ts'
import type { CallContext, Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'
import { parsePart } from './parse-part.ts'

/** Kinds that `sallyctl create -f` takes, with the table that says whether one is there. */
const TABLES = {
  role: 'roles',
  user: 'users',
  node: 'nodes',
  database: 'databases',
  review_rule: 'review_rules',
  integration: 'integrations',
} as const
type DocumentKind = keyof typeof TABLES

/** Handlers of documents: roles, users, nodes, databases, review rules and integrations as operators write them. */
export function documentHandlers(services: IdentityServices): Handlers {
  return {
    async createDocument(context, { body }) {
      const { document, replace } = body
      const doer = doerOf(context)
      switch (kindOf(document)) {
        case 'role': {
          const role = parsePart('document', RoleDocument, document)
          const isChange = await checkRight(services, context, 'role', role.metadata.name, replace)
          return answer(role, await putRole(services, doer, role, isChange))
        }
        case 'user': {
          const user = parsePart('document', UserDocument, document)
          const isChange = await checkRight(services, context, 'user', user.metadata.name, replace)
          return answer(user, await putUser(services, doer, user, isChange))
        }
        case 'node': {
          const node = parsePart('document', NodeDocument, document)
          const isChange = await checkRight(services, context, 'node', node.metadata.name, replace)
          return answer(node, await putNode(services, doer, node, isChange))
        }
        case 'database': {
          const database = parsePart('document', DatabaseDocument, document)
          const isChange = await checkRight(services, context, 'database', database.metadata.name, replace)
          return answer(database, await putDatabase(services, doer, database, isChange))
        }
        case 'review_rule': {
          const rule = parsePart('document', ReviewRuleDocument, document)
          const isChange = await checkRight(services, context, 'review_rule', rule.metadata.name, replace)
          await checkDeciding(services, context, rule.metadata.name, rule.spec.decides, isChange ? 'update' : 'create')
          return answer(rule, await putReviewRule(services, doer, rule, isChange))
        }
        case 'integration': {
          const integration = parsePart('document', IntegrationDocument, document)
          const isChange = await checkRight(services, context, 'integration', integration.metadata.name, replace)
          return answer(integration, await putIntegration(services, doer, integration, isChange))
        }
      }
    },
    listRoles: async () => ({ items: await listRoles(services.database) }),
    async removeRole(context, { params }) {
      await removeRole(services, doerOf(context), nameParam(params))
      return {}
    },
    listNodeDocuments: async () => ({ items: await listNodeDocuments(services.database) }),
    async removeNode(context, { params }) {
      await removeNode(services, doerOf(context), nameParam(params))
      return {}
    },
    listDatabaseDocuments: async () => ({ items: await listDatabaseDocuments(services.database) }),
    async removeDatabase(context, { params }) {
      await removeDatabase(services, doerOf(context), nameParam(params))
      return {}
    },
    listIntegrations: async () => ({ items: await listIntegrationDocuments(services.database.reads) }),
    async removeIntegration(context, { params }) {
      await removeIntegration(services, doerOf(context), nameParam(params))
      return {}
    },
    listReviewRules: async () => ({ items: await listReviewRules(services.database.reads) }),
    async removeReviewRule(context, { params }) {
      const name = nameParam(params)
      await checkDeciding(services, context, name, false, 'delete')
      await removeReviewRule(services, doerOf(context), name)
      return {}
    },
  }
}

function kindOf(document: unknown): DocumentKind {
  const kind = typeof document === 'object' && document !== null && 'kind' in document ? document.kind : undefined
  if (typeof kind === 'string' && Object.hasOwn(TABLES, kind)) return kind as DocumentKind
  throw new Refused('malformed', 'document.kind: unknown', `one of: ${Object.keys(TABLES).join(', ')}`)
}

/** Changing what is there needs `update`, all else `create`. True: it is there and is to be replaced. */
async function checkRight(
  { database }: IdentityServices,
  context: CallContext,
  kind: DocumentKind,
  name: string,
  replace: boolean,
): Promise<boolean> {
  const before = await database.reads
    .selectFrom(TABLES[kind])
    .select('id')
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  const isChange = before !== undefined && replace
  await context.requireOperator(kind, isChange ? 'update' : 'create')
  return isChange
}

/** A rule that decides, before or after the change, needs a permission of its own. */
async function checkDeciding(
  { database }: IdentityServices,
  context: CallContext,
  name: string,
  decides: boolean,
  verb: 'create' | 'update' | 'delete',
): Promise<void> {
  if (decides || (await decidingNow(database.reads, name)) === true)
    await context.requireOperator('deciding_rule', verb)
}

function answer(
  { kind, metadata }: { readonly kind: string; readonly metadata: { readonly name: string } },
  { created }: { readonly created: boolean },
): { kind: string; name: string; created: boolean } {
  return { kind, name: metadata.name, created }
}

/** A name in a path; look-alikes are not found. */
export function nameParam(params: Readonly<Record<string, string>>): string {
  const named = normaliseName(params['name'] ?? '')
  if (!named.ok) throw new Refused('not_found', 'there is no such name')
  return named.name
}
