// A process of its own: `node commit-loop.ts DATABASE COUNT PREFIX`. Commits one deed after the other and says `ack SEQ` once
// its promise has resolved, as a server would answer. COUNT 0 = until it is killed.
import { writeSync } from 'node:fs'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { addLock } from './audit-lab.ts'

const [path = '', count = '0', prefix = ''] = process.argv.slice(2)
const database = openDatabase(path)
const deeds = new StoredDeedLog({ database, clock: systemClock, log: silentLog, spill: spillInMemory() })
let position = 0
deeds.onCommitted((committed) => void (position = committed.position))
const head = await database.reads.selectFrom('chain_head').select('seq').executeTakeFirst()
writeSync(1, `start ${String(head?.seq ?? 0)}\n`)
for (let index = 1; count === '0' || index <= Number(count); index++) {
  await deeds.commitDeed(addLock(`lck_${prefix}_${String(index)}`))
  writeSync(1, `ack ${String(position)}\n`)
}
await deeds.close()
await database.close()
