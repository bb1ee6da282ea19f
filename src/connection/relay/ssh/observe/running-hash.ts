import { createHash } from 'node:crypto'

/** SHA-256 over what comes, in pieces. Nothing is kept of a piece when `update` returns. */
export interface RunningHash {
  update(bytes: Uint8Array): void
  /** Lowercase hex; once */
  digest(): string
}

export type NewHash = () => RunningHash

export const newSha256: NewHash = () => {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') }
}
