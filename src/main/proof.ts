import { createPublicKey, sign } from 'node:crypto'
import { Checkpoints } from '../audit/checkpoints.ts'
import { alteredLiveRows, describeAltered } from '../audit/live-rows.ts'
import { openOutsideFile, type OutsideFile } from '../audit/outside-file.ts'
import { checkStart } from '../audit/startup-check.ts'
import type { Config } from '../foundation/config.ts'
import type { ControlSide } from './control-side.ts'
import type { DaemonSurroundings } from './daemon.ts'
import type { Store } from './open-store.ts'
import { StoreVerifier } from './store-verifier.ts'

const MOST_LOGGED = 100

/** What can show later that nothing was changed: checkpoints, the file outside that gets them, and who looks. */
export interface Proof {
  readonly checkpoints: Checkpoints
  readonly outside: OutsideFile
  readonly verifier: StoreVerifier
}

/**
 * Compares the store with the last checkpoint outside, and every row that matters now with its last event, before anything is
 * stored and anybody is let in: shorter, different or edited = read-only.
 */
export async function openOutside(
  config: Config,
  { database, deeds }: Store,
  { log }: Pick<DaemonSurroundings, 'log'>,
): Promise<OutsideFile> {
  const outside = openOutsideFile(config.checkpointFile, database.path)
  const installation = await database.reads.selectFrom('installation').select('id').executeTakeFirst()
  const rows = await database.reads
    .selectFrom('authorities')
    .select('public_key')
    .where('kind', '=', 'checkpoint')
    .where('state', '!=', 'dropped')
    .execute()
  const finding = await checkStart({
    database,
    outside,
    installationId: installation?.id ?? '',
    keys: rows.map((row) => createPublicKey(row.public_key)),
  })
  if (finding.state === 'went_back') deeds.becomeReadOnly(finding.why)
  const altered = await alteredLiveRows({ database })
  for (const { trouble } of altered.slice(0, MOST_LOGGED)) log.error({ trouble }, 'a row was edited in the file')
  const why = describeAltered(altered)
  if (why !== null) deeds.becomeReadOnly(why)
  return outside
}

export function openProof(
  config: Config,
  { database, deeds, postgres }: Store,
  { installation, authorities, control }: ControlSide,
  outside: OutsideFile,
  { clock, log, entry }: DaemonSurroundings,
): Proof {
  const checkpoints = new Checkpoints({
    database,
    clock,
    log,
    installationId: installation.id,
    signer: () => {
      const { publicKey, privateKey } = authorities.checkpointKey()
      return { publicKey, sign: (text) => sign(null, Buffer.from(text), privateKey) }
    },
    outside,
    openSessions: () => [...control.openHeads()].map(([id, head]) => ({ id, ...head })),
    readOnly: () => deeds.readOnly,
  })
  const verifier = new StoreVerifier({
    entry,
    order: () => ({
      database: database.path,
      postgres,
      trusted: [authorities.checkpointKey().publicKey.export({ type: 'spki', format: 'pem' }) as string],
      outside: outside.path,
      recordingsDir: config.recordingsDir,
    }),
    deeds,
    clock,
    log,
  })
  return { checkpoints, outside, verifier }
}
