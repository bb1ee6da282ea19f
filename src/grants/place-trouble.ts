import { canonicalJson } from '../formats/canonical-json.ts'
import { resourceKey, type ResourceFacts } from '../resources/resource.ts'

/** What became of a resource since access to it was approved, as a sentence; null = it is what it was. */
export function placeTrouble(pin: ResourceFacts, current: ResourceFacts | undefined): string | null {
  if (!current || current.id !== pin.id) return `${resourceKey(pin)} was removed`
  if (current.identity !== pin.identity) {
    const what = pin.kind === 'node' ? 'has another host key' : 'is another server'
    return `${resourceKey(pin)} ${what} than the one approved`
  }
  if (canonicalJson(current.labels) !== canonicalJson(pin.labels))
    return `${resourceKey(pin)} was labelled anew since the approval`
  return null
}
