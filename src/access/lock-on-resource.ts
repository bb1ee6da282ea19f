import type { ResourceFacts } from '../resources/resource.ts'
import type { Directory } from './directory.ts'

/** What a lock in force on this very resource says; undefined: there is none. */
export function lockOnResource(
  directory: Pick<Directory, 'lockOn'>,
  { kind, id }: Pick<ResourceFacts, 'kind' | 'id'>,
): string | undefined {
  return kind === 'node' || kind === 'database' ? directory.lockOn(kind, id) : undefined
}
