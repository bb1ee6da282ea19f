import type { DatabaseSync } from 'node:sqlite'
import { detailsHash, GENESIS, leafHash, nextHead, rowHash } from '../../src/formats/audit-chain.ts'
import type { AuditEventsTable } from '../../src/foundation/database/tables.ts'

/** What a thief with write access does after an edit: every seq, row binding, leaf and hash is made right again. */
export function rewriteChain(db: DatabaseSync): void {
  let head = GENESIS
  let seq = 0
  const events = db.prepare('select * from audit_events order by seq').all() as unknown as AuditEventsTable[]
  for (const event of events) {
    seq += 1
    const rows = (JSON.parse(event.rows_json) as { table: string; id: string; hash: string | null }[]).map((row) => {
      const isLast = !events.some((later) => later.seq > event.seq && later.rows_json.includes(`"${row.id}"`))
      const content = isLast ? db.prepare(`select * from ${row.table} where id = ?`).get(row.id) : undefined
      if (content) db.prepare(`update ${row.table} set event_id = ? where id = ?`).run(event.id, row.id)
      return isLast ? { hash: content ? rowHash(row.table, content) : null, id: row.id, table: row.table } : row
    })
    const details = event.details_json === null ? event.details_hash : detailsHash(event.salt, event.details_json)
    const fixed = { ...event, seq, rows_json: JSON.stringify(rows), details_hash: details }
    const leaf = leafHash(fixed)
    head = nextHead(head, leaf)
    db.prepare('update audit_events set seq = ?, rows_json = ?, details_hash = ?, leaf = ?, hash = ? where id = ?').run(
      ...[seq, fixed.rows_json, details, leaf, head, event.id],
    )
  }
  db.prepare('update chain_head set seq = ?, hash = ?').run(seq, head)
}
