import { dirname, join } from 'node:path'

/** The sandbox's program: beside the bundle of the program at `entry`, or the source. */
export function sandboxEntry(entry: string): string {
  return entry.endsWith('.mjs')
    ? join(dirname(entry), 'policy-sandbox.mjs')
    : join(dirname(entry), '../policies/sandbox/policy-sandbox.ts')
}
