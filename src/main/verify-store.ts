import { verifyAudit } from '../audit/verify/verify-audit.ts'
import type { VerifyOrder } from './store-verifier.ts'
import { verifySessionFileIn } from './verify-session-file.ts'

/** The process behind StoreVerifier: an order in, the finding as JSON on stdout. */
export async function verifyStore(text: string): Promise<void> {
  const { database, trusted, outside, recordingsDir } = JSON.parse(text) as VerifyOrder
  const found = await verifyAudit({ database, trusted, outside, sessionFile: verifySessionFileIn(recordingsDir) })
  process.stdout.write(JSON.stringify(found))
}
