import { confirmed } from '../../audit/confirmation.ts'
import { createHash } from 'node:crypto'
import type { NewEvent, Tx } from '../../audit/deed.ts'
import type { ReviewRuleDocument, ReviewRuleSpec } from '../../contract/review-rule.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import type { Doer, StoreParts } from '../../identity/doer.ts'
import type { Reader } from '../directory.ts'
import { ruleProblems } from './rule-problems.ts'

type Parts = Pick<StoreParts, 'deeds'>

/** Rules that stand there at the same time: each is evaluated at each ask. */
const MOST_RULES = 500

/**
 * Writes a review rule, or with `replace` changes the one of that name.
 * Throws Refused: malformed (with every problem), exists, over_limit.
 */
export async function putReviewRule(
  parts: Parts,
  doer: Doer,
  document: ReviewRuleDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  const { name, description = null } = document.metadata
  const problems = ruleProblems(document.spec)
  if (problems.length > 0)
    throw new Refused('malformed', `review_rule ${name}: ${problems[0]}`, undefined, {
      problems: problems.slice(0, 20),
    })
  const spec_json = canonicalJson(document.spec)
  const content_hash = createHash('sha256').update(spec_json).digest('hex')
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const before = await findRule(tx, name)
      if (before && !replace)
        throw new Refused(
          'exists',
          `there is a review rule "${name}"`,
          `to change it: sallyctl edit review_rule/${name}`,
        )
      const id = before?.id ?? newId('review_rule', now)
      const columns = { name, spec_json, content_hash, description }
      if (before) await tx.updateTable('review_rules').set(columns).where('id', '=', id).execute()
      else {
        await refuseTooMany(tx)
        await tx
          .insertInto('review_rules')
          .values({ id, event_id: '', ...columns, created_at: now, deleted_at: null })
          .execute()
      }
      const details = {
        rule: id,
        name,
        spec: document.spec,
        contentHash: content_hash,
        before: before?.content_hash ?? null,
      }
      const type = before ? 'review_rule.update' : 'review_rule.create'
      return { result: { id, created: !before }, events: [ruleEvent(type, doer, id, details)] }
    }),
  )
}

/** The id never comes back. Throws Refused('not_found'). */
export async function removeReviewRule(parts: Parts, doer: Doer, name: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const rule = await findRule(tx, name)
      if (!rule) throw new Refused('not_found', `there is no review rule "${name}"`, 'run: sallyctl get review_rule')
      await tx.updateTable('review_rules').set({ deleted_at: now }).where('id', '=', rule.id).execute()
      return { result: null, events: [ruleEvent('review_rule.delete', doer, rule.id, { rule: rule.id, name })] }
    }),
  )
}

export async function listReviewRules(reader: Reader): Promise<ReviewRuleDocument[]> {
  const rows = await reader
    .selectFrom('review_rules')
    .select(['name', 'spec_json', 'description'])
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute()
  return rows.map(({ name, spec_json, description }) => ({
    kind: 'review_rule',
    version: 'v1',
    metadata: { name, ...(description === null ? {} : { description }) },
    spec: JSON.parse(spec_json) as ReviewRuleSpec,
  }))
}

/** Whether a rule of that name stands there and decides; null: there is none. */
export async function decidingNow(reader: Reader, name: string): Promise<boolean | null> {
  const rule = await findRule(reader, name)
  return rule ? (JSON.parse(rule.spec_json) as ReviewRuleSpec).decides : null
}

async function findRule(reader: Reader, name: string) {
  return await reader
    .selectFrom('review_rules')
    .select(['id', 'spec_json', 'content_hash'])
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

async function refuseTooMany(tx: Tx): Promise<void> {
  const { rules } = await tx
    .selectFrom('review_rules')
    .select((select) => select.fn.countAll<number>().as('rules'))
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
  if (Number(rules) >= MOST_RULES)
    throw new Refused('over_limit', `there are ${MOST_RULES} review rules already`, 'remove those that are not needed')
}

function ruleEvent(
  type: 'review_rule.create' | 'review_rule.update' | 'review_rule.delete',
  doer: Doer,
  id: string,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  return {
    type,
    actor: doer.actor,
    login: doer.loginId,
    outcome: 'success',
    details,
    rows: [{ table: 'review_rules', id }],
  }
}
