import { readdirSync, readFileSync } from 'node:fs'
import { run } from '../../test/support/run.ts'

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Fields of /proc/PID/stat from the third on (proc(5)); the second may contain blanks. */
const stat = (pid: number): string[] => read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []

/** A process and all that descend from it. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc'))
    if (/^\d+$/.test(name)) parents.set(Number(name), Number(stat(Number(name))[1]))
  const tree = [root]
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

/** Resident memory of a tree of processes, KiB. */
export const residentKiB = (root: number): number =>
  processTree(root).reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0), 0)

/** CPU time that a living tree has used, ms; the kernel counts in ticks of 10 ms. */
export const treeCpuMs = (root: number): number =>
  processTree(root).reduce((sum, pid) => sum + (Number(stat(pid)[11] ?? 0) + Number(stat(pid)[12] ?? 0)) * 10, 0)

/** CPU time of a command that runs to its end, ms. */
export async function commandCpuMs(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const done = await run('bash', ['-c', '"$@" >/dev/null || exit 1; times', 'bash', ...command], { env })
  if (done.code !== 0) throw new Error(`${command.join(' ')} failed: ${done.stderr}`)
  // The second line is that of the children: user and system as 0m0.123s.
  const [, children = ''] = done.stdout.split('\n')
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60_000 + Number(s) * 1000,
    0,
  )
}
