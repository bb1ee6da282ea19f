import { mayDo } from '../../identity/role-rules.ts'
import { loadDirectory, type Reader } from '../directory.ts'

const MOST = 50

/** Names of those in good standing who may change integrations. */
export async function administrators(reader: Reader, now: number): Promise<string[]> {
  const { members } = await loadDirectory(reader, now)
  return [...members.values()]
    .filter((member) => member.standing.kind === 'good' && mayDo(member, 'integration', 'update'))
    .map(({ name }) => name)
    .slice(0, MOST)
}
