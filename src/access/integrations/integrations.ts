import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { confirmed } from '../../audit/confirmation.ts'
import type { NewEvent, Tx } from '../../audit/deed.ts'
import { VENDOR_SECRETS, VENDOR_SETTINGS, type IntegrationDocument } from '../../contract/integration.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import type { IntegrationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import type { Doer, StoreParts } from '../../identity/doer.ts'
import type { Sealer } from '../../identity/sealing.ts'
import type { Reader } from '../directory.ts'
import { sealSecrets, unsealSecrets, type StoredSecrets } from './integration-secrets.ts'
import { linkWebhookReviewers } from './webhook-reviewers.ts'
import { VENDOR_RULES } from './vendor-rules.ts'

type Parts = Pick<StoreParts, 'deeds'>
type Spec = IntegrationDocument['spec']
type Values = Readonly<Record<string, unknown>>

/** Each is asked for messages again and again. */
const MOST_INTEGRATIONS = 100
/** Of all secrets of one together, as JSON */
const SECRETS_BYTES = 131_072

/**
 * Writes an integration. Secrets are sealed; one that is left out in a change stays as it was, unless they would be sent
 * somewhere else now. `created` false: it was there before. Errors: Refused('malformed' | 'exists' | 'over_limit').
 */
export async function putIntegration(
  parts: Parts & { readonly sealer: Sealer },
  doer: Doer,
  document: IntegrationDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  const { name } = document.metadata
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const before = await findNamed(tx, name)
      refuseOther(before, document, replace)
      if (!before) await refuseTooMany(tx)
      const id = before?.id ?? newId('integration', now)
      const { columns, secrets } = planned(parts.sealer, document.spec, before ?? null)
      const row = {
        ...columns,
        name,
        secret_names_json: canonicalJson(Object.keys(secrets).sort()),
        secrets_sealed: Object.keys(secrets).length === 0 ? null : sealSecrets(parts.sealer, id, secrets),
        broken_why: null,
        changed_at: now,
      }
      if (before) await tx.updateTable('integrations').set(row).where('id', '=', id).execute()
      else
        await tx
          .insertInto('integrations')
          .values({ id, event_id: '', ...row, created_at: now, deleted_at: null })
          .execute()
      const given = Object.keys(document.spec.secrets ?? {}).sort()
      const details = { vendor: row.vendor, enabled: row.enabled === 1, settings: settingsOf(row), secretsGiven: given }
      const event = integrationEvent(before ? 'integration.update' : 'integration.create', doer, { id, name }, details)
      const reviewers = document.spec.vendor === 'webhook' ? document.spec.reviewers : []
      const links = await linkWebhookReviewers(tx, { id, vendor: row.vendor }, reviewers, doer.actor.name, now)
      const rows = [...(event.rows ?? []), ...links]
      return { result: { id, created: !before }, events: [{ ...event, rows }] }
    }),
  )
}

/** The id never comes back; whoever was linked through it is no more. Errors: Refused('not_found'). */
export async function removeIntegration(parts: Parts, doer: Doer, name: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const found = await findNamed(tx, name)
      if (!found) throw notThere(name)
      const gone = { deleted_at: now, secrets_sealed: null, secret_names_json: '[]', enabled: 0 as const }
      await tx.updateTable('integrations').set(gone).where('id', '=', found.id).execute()
      const accounts = await endAccountsOf(tx, found.id, doer, now)
      const event = integrationEvent('integration.delete', doer, found, { vendor: found.vendor, accounts })
      const rows = [...(event.rows ?? []), ...accounts.map((id) => ({ table: 'chat_accounts', id }) as const)]
      return { result: null, events: [{ ...event, rows }], evenIfAltered: true }
    }),
  )
}

/** As `create` takes them, without the secrets. */
export async function listIntegrationDocuments(reader: Reader): Promise<IntegrationDocument[]> {
  return (await integrationRows(reader)).map((row) => ({
    kind: 'integration',
    version: 'v1',
    metadata: { name: row.name },
    spec: { vendor: row.vendor, enabled: row.enabled === 1, ...settingsOf(row) } as Spec,
  }))
}

function standing(tx: Tx, id: string): Promise<IntegrationsTable | undefined> {
  return tx
    .selectFrom('integrations')
    .selectAll()
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

/** Works no more until somebody changes it, which an event tells of once. False: it was so already, or is gone. */
export async function breakIntegration(
  parts: Parts,
  doer: Doer,
  id: string,
  why: string,
  /** Names of people who are told by the other integrations */
  tell: readonly string[] = [],
): Promise<boolean> {
  const row = await parts.deeds
    .commitDeed(async (tx, now) => {
      const found = await standing(tx, id)
      if (!found || found.broken_why !== null) throw new NothingBroken()
      const broken_why = why.toWellFormed().slice(0, 500)
      await tx.updateTable('integrations').set({ broken_why, changed_at: now }).where('id', '=', id).execute()
      const told = { integration: found.name, why: broken_why, to: [...tell] }
      return {
        result: found,
        events: [integrationEvent('integration.disable', doer, found, { why: broken_why })],
        outbox: [{ topic: 'integration.broken', body: told }],
      }
    })
    .catch((error: unknown) => {
      if (error instanceof NothingBroken) return null
      throw error
    })
  return row !== null
}

/** Somebody changed what was wrong at the vendor. False: nothing was wrong, or it is gone. */
export async function mendIntegration(parts: Parts, doer: Doer, id: string): Promise<boolean> {
  const row = await parts.deeds
    .commitDeed(async (tx, now) => {
      const found = await standing(tx, id)
      if (!found || found.broken_why === null) throw new NothingBroken()
      await tx.updateTable('integrations').set({ broken_why: null, changed_at: now }).where('id', '=', id).execute()
      return { result: found, events: [integrationEvent('integration.update', doer, found, { mended: true })] }
    })
    .catch((error: unknown) => {
      if (error instanceof NothingBroken) return null
      throw error
    })
  return row !== null
}

class NothingBroken extends Error {}

export function integrationRows(reader: Reader): Promise<IntegrationsTable[]> {
  return reader.selectFrom('integrations').selectAll().where('deleted_at', 'is', null).orderBy('name').execute()
}

export const settingsOf = (row: Pick<IntegrationsTable, 'settings_json'>): Record<string, unknown> =>
  JSON.parse(row.settings_json) as Record<string, unknown>

/** What a vendor's code is given: settings and secrets as its schemas parse them. */
export function openedIntegration(
  sealer: Sealer,
  row: IntegrationsTable,
): { readonly settings: Values; readonly secrets: Values } {
  const settings = settingsOf(row)
  const { shape } = VENDOR_SETTINGS[row.vendor]
  const own = Object.fromEntries(Object.entries(settings).filter(([key]) => Object.hasOwn(shape, key)))
  const secrets = unsealSecrets(sealer, row.id, row.secrets_sealed)
  return { settings: VENDOR_SETTINGS[row.vendor].parse(own), secrets: VENDOR_SECRETS[row.vendor].parse(secrets) }
}

const findNamed = (tx: Tx, name: string): Promise<IntegrationsTable | undefined> =>
  tx.selectFrom('integrations').selectAll().where('name', '=', name).where('deleted_at', 'is', null).executeTakeFirst()

function refuseOther(before: IntegrationsTable | undefined, { spec, metadata }: IntegrationDocument, replace: boolean) {
  const { name } = metadata
  if (before && !replace)
    throw new Refused('exists', `there is an integration "${name}"`, `to change it: sallyctl edit integration/${name}`)
  if (before && before.vendor !== spec.vendor)
    throw new Refused(
      'malformed',
      `spec.vendor: ${name} is of ${before.vendor}, and stays so`,
      `for another vendor: sallyctl rm integration/${name}, then make it anew`,
    )
}

function planned(sealer: Sealer, spec: Spec, before: IntegrationsTable | null) {
  const { vendor, enabled, secrets: given = {}, ...settings } = spec
  const rules = VENDOR_RULES[vendor]
  const isSame =
    before !== null && rules.destination.every((key) => same(settingsOf(before)[key], (settings as Values)[key]))
  const stored = isSame ? unsealSecrets(sealer, before.id, before.secrets_sealed) : {}
  const secrets = checkedSecrets(spec, merged(stored, given, rules.made ?? []), before !== null && !isSame)
  const problems = rules.problems?.(vendorSettings(spec), secrets) ?? []
  if (problems.length > 0)
    throw new Refused('malformed', `spec.${problems[0]}`, undefined, { problems: problems.slice(0, 20) })
  const columns = { vendor, enabled: enabled ? (1 as const) : (0 as const), settings_json: canonicalJson(settings) }
  return { columns, secrets }
}

function vendorSettings({ vendor, ...spec }: Spec): Values {
  const { shape } = VENDOR_SETTINGS[vendor]
  return Object.fromEntries(Object.entries(spec).filter(([key]) => Object.hasOwn(shape, key)))
}

const same = (one: unknown, other: unknown): boolean => canonicalJson(one ?? null) === canonicalJson(other ?? null)

function merged(stored: StoredSecrets, given: Values, made: readonly string[]): StoredSecrets {
  const all = { ...stored, ...given }
  const kept = Object.entries(all).filter(([, value]) => value !== null && value !== undefined)
  const fresh = made.filter((name) => !kept.some(([key]) => key === name))
  return Object.fromEntries([...kept, ...fresh.map((name) => [name, randomBytes(32).toString('base64url')] as const)])
}

/** Says what is wrong and never what was given. */
function checkedSecrets({ vendor }: Spec, secrets: StoredSecrets, moved: boolean): StoredSecrets {
  const schema: z.ZodType<Record<string, unknown>> = VENDOR_SECRETS[vendor]
  const parsed = schema.safeParse(secrets)
  const hint = moved
    ? 'they would be sent somewhere else now, so none that is stored is used: give them again'
    : undefined
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const place = ['spec', 'secrets', ...(issue?.path ?? [])].map(String).join('.')
    throw new Refused('malformed', `${place}: ${issue?.message ?? 'unusable'}`, hint)
  }
  if (Buffer.byteLength(JSON.stringify(parsed.data)) > SECRETS_BYTES)
    throw new Refused('over_limit', `spec.secrets: together at most ${SECRETS_BYTES} bytes`)
  return parsed.data
}

async function refuseTooMany(tx: Tx): Promise<void> {
  const { count } = await tx
    .selectFrom('integrations')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
  if (Number(count) >= MOST_INTEGRATIONS)
    throw new Refused(
      'over_limit',
      `there are ${MOST_INTEGRATIONS} integrations already`,
      'remove one that is not needed',
    )
}

async function endAccountsOf(tx: Tx, integrationId: string, { actor }: Doer, now: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('chat_accounts')
    .select('id')
    .where('integration_id', '=', integrationId)
    .where('ended_at', 'is', null)
    .execute()
  const ended = { ended_at: now, ended_why: 'integration_removed', ended_by: actor.name }
  await tx
    .updateTable('chat_accounts')
    .set(ended)
    .where('integration_id', '=', integrationId)
    .where('ended_at', 'is', null)
    .execute()
  return rows.map(({ id }) => id)
}

function notThere(name: string): Refused {
  return new Refused('not_found', `there is no integration "${name}"`, 'run: sallyctl get integration')
}

function integrationEvent(
  type: 'integration.create' | 'integration.update' | 'integration.delete' | 'integration.disable',
  { actor, loginId }: Doer,
  { id, name }: { readonly id: string; readonly name: string },
  details: Values,
): NewEvent {
  return {
    type,
    actor,
    login: loginId,
    outcome: 'success',
    details: { integration: id, name, ...details },
    rows: [{ table: 'integrations', id }],
  }
}
