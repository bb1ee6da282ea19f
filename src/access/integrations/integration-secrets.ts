import type { Sealer } from '../../identity/sealing.ts'

export type StoredSecrets = Readonly<Record<string, unknown>>

const placeOf = (id: string) => ({ table: 'integrations', row: id, column: 'secrets_sealed' })

export function sealSecrets(sealer: Sealer, id: string, secrets: StoredSecrets): string {
  return sealer.seal(placeOf(id), Buffer.from(JSON.stringify(secrets)))
}

export function unsealSecrets(sealer: Sealer, id: string, sealed: string | null): StoredSecrets {
  if (sealed === null) return {}
  return JSON.parse(sealer.unseal(placeOf(id), sealed).toString()) as StoredSecrets
}
