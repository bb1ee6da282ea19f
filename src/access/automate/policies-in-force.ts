import { confirmed } from '../../audit/confirmation.ts'
import type { DeedLog, NewEvent, Tx } from '../../audit/deed.ts'
import type { PolicyState } from '../../contract/policy.ts'
import type { PoliciesTable } from '../../foundation/database/tables.ts'
import { newId } from '../../foundation/ids.ts'
import type { Doer } from '../../identity/doer.ts'
import type { Reader } from '../directory.ts'
import { NothingToDo, orNothing } from '../nothing-to-do.ts'

/** A policy file that was looked at and can run. */
export interface CheckedPolicy {
  readonly file: string
  readonly modulesJson: string
  readonly contentHash: string
  readonly approveOnly: boolean
  readonly zone: string
}

export interface PolicyChanges {
  readonly loaded: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

type Change = readonly [kind: keyof PolicyChanges, file: string, event: NewEvent]

/** Puts exactly these policies in force, in one deed with an event for each difference. */
export async function putInForce(
  deeds: DeedLog,
  doer: Doer,
  policies: readonly CheckedPolicy[],
): Promise<PolicyChanges> {
  return orNothing<PolicyChanges>(
    deeds.commitDeed(
      confirmed(doer, async (tx, now) => {
        const standing = await inForce(tx)
        const changes: Change[] = []
        for (const policy of policies) {
          const before = standing.find((row) => row.file === policy.file)
          if (before?.content_hash !== policy.contentHash || before.zone !== policy.zone)
            changes.push(await write(tx, doer, policy, before, now))
        }
        for (const row of standing)
          if (!policies.some((policy) => policy.file === row.file)) changes.push(await remove(tx, doer, row, now))
        const result = changesOf(changes)
        const [first, ...more] = changes.map(([, , event]) => event)
        if (!first) throw new NothingToDo<PolicyChanges>(result)
        return { result, events: [first, ...more] }
      }),
    ),
  )
}

function changesOf(changes: readonly Change[]): PolicyChanges {
  const files = (kind: keyof PolicyChanges): string[] =>
    changes.flatMap(([each, file]) => (each === kind ? [file] : []))
  return { loaded: files('loaded'), changed: files('changed'), removed: files('removed') }
}

async function inForce(reader: Reader): Promise<PoliciesTable[]> {
  return reader.selectFrom('policies').selectAll().where('removed_at', 'is', null).orderBy('file').execute()
}

async function write(
  tx: Tx,
  doer: Doer,
  { file, modulesJson, contentHash, approveOnly, zone }: CheckedPolicy,
  before: PoliciesTable | undefined,
  now: number,
): Promise<Change> {
  const id = before?.id ?? newId('policy', now)
  const approve_only = approveOnly ? (1 as const) : (0 as const)
  const columns = { file, modules_json: modulesJson, content_hash: contentHash, approve_only, zone, loaded_at: now }
  if (before) await tx.updateTable('policies').set(columns).where('id', '=', id).execute()
  else
    await tx
      .insertInto('policies')
      .values({ id, event_id: '', ...columns, removed_at: null })
      .execute()
  const details = { policy: id, file, contentHash, before: before?.content_hash ?? null, approveOnly, zone }
  return before
    ? ['changed', file, policyEvent('policy.change', doer, id, details)]
    : ['loaded', file, policyEvent('policy.load', doer, id, details)]
}

async function remove(tx: Tx, doer: Doer, row: PoliciesTable, now: number): Promise<Change> {
  await tx.updateTable('policies').set({ removed_at: now }).where('id', '=', row.id).execute()
  const details = { policy: row.id, file: row.file, contentHash: row.content_hash }
  return ['removed', row.file, policyEvent('policy.remove', doer, row.id, details)]
}

function policyEvent(
  type: 'policy.load' | 'policy.change' | 'policy.remove',
  doer: Doer,
  id: string,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  const rows = [{ table: 'policies', id }] as const
  return { type, actor: doer.actor, login: doer.loginId, outcome: 'success', details, rows }
}

export async function listPolicies(reader: Reader): Promise<PolicyState[]> {
  return (await inForce(reader)).map((row) => ({
    file: row.file,
    modules: JSON.parse(row.modules_json) as Record<string, string>,
    contentHash: row.content_hash,
    approveOnly: row.approve_only === 1,
    zone: row.zone,
    loadedAt: row.loaded_at,
  }))
}

/** TypeScript by path of the policy with this content; null: there is none. */
export async function sourcesOf(reader: Reader, contentHash: string): Promise<Record<string, string> | null> {
  const row = await reader
    .selectFrom('policies')
    .select('modules_json')
    .where('content_hash', '=', contentHash)
    .executeTakeFirst()
  return row ? (JSON.parse(row.modules_json) as Record<string, string>) : null
}
