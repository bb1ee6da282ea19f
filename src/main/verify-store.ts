import { text } from 'node:stream/consumers'
import { verifyAudit } from '../audit/verify/verify-audit.ts'
import { openSourceOf } from './open-source.ts'
import type { VerifyOrder } from './store-verifier.ts'
import { verifySessionFileIn } from './verify-session-file.ts'

/** The process behind StoreVerifier: an order on stdin, the finding as JSON on stdout. */
export async function verifyStore(stdin: NodeJS.ReadableStream): Promise<void> {
  const { database, postgres, trusted, outside, recordingsDir } = JSON.parse(await text(stdin)) as VerifyOrder
  const sessionFile = verifySessionFileIn(recordingsDir)
  const found = await verifyAudit({ database, ...openSourceOf(postgres), trusted, outside, sessionFile })
  process.stdout.write(JSON.stringify(found))
}
