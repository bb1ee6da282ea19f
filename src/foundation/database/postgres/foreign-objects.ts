import type { ClientBase } from 'pg'
import { Refused } from '../../errors.ts'

/** What could act in our name, or show other rows than there are: all that a schema of plain tables and indexes does not have. */
const FOREIGN = `
  select 'trigger' as kind, t.tgname as name from pg_trigger t
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport' and not t.tgisinternal
  union all select 'rule', r.rulename from pg_rewrite r
    join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport' and r.rulename <> '_RETURN'
  union all select case c.relkind when 'v' then 'view' when 'm' then 'view' when 'f' then 'foreign table'
      when 'p' then 'partitioned table' else 'relation' end, c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport' and c.relkind not in ('r', 'i', 't', 'c')
  union all select 'function', p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'sallyport'
  union all select 'row policy', p.polname from pg_policy p
    join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport'
  union all select 'inheriting table', i.relname from pg_inherits h
    join pg_class c on c.oid = h.inhparent join pg_class i on i.oid = h.inhrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport' and c.relkind = 'r'
  union all select 'column with a default', c.relname || '.' || a.attname from pg_attrdef d
    join pg_class c on c.oid = d.adrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum = d.adnum
    where n.nspname = 'sallyport'
  union all select 'table without a log', c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'sallyport' and c.relkind = 'r' and c.relpersistence <> 'p'
  order by 1, 2`

export interface ForeignObject {
  readonly kind: string
  readonly name: string
}

export async function foreignObjects(client: ClientBase): Promise<readonly ForeignObject[]> {
  return (await client.query<{ kind: string; name: string }>(FOREIGN)).rows
}

/** Errors: Refused('store_unavailable') naming the first. */
export async function refuseForeignObjects(client: ClientBase): Promise<void> {
  const [first] = await foreignObjects(client)
  if (!first) return
  throw new Refused(
    'store_unavailable',
    `the schema sallyport holds a ${first.kind} "${first.name}" that Sallyport never made: somebody edited the database`,
    'keep a copy for the investigation, then restore a backup',
  )
}
