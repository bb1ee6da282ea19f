// Which nodes the words of a stock program's command line name, read as that program's getopt reads them.

export interface Destination {
  readonly node: string
  /** null: none named */
  readonly login: string | null
}

/** Letters whose option takes a value, in ssh(1) and scp(1) */
const WITH_VALUE = { ssh: 'BbcDEeFIiJLlmOoPpQRSWw', scp: 'cDFiJlMoPSX' } as const
/** These connect to nothing new. */
const NO_CONNECTION = { ssh: 'GOQV', scp: '' } as const

export function destinations(
  program: 'ssh' | 'scp',
  args: readonly string[],
  nodes: ReadonlySet<string>,
): Destination[] {
  const { words, login, connects } = readOptions(program, args)
  if (!connects) return []
  const named = (program === 'ssh' ? words.slice(0, 1) : words).flatMap((word) => {
    const found = program === 'ssh' ? sshDestination(word) : scpPlace(word)
    if (!found || !nodes.has(found.node)) return []
    return [{ node: found.node, login: found.login ?? login }]
  })
  const keys = new Set<string>()
  return named.filter(({ node, login: as }) => {
    const key = `${as ?? ''}@${node}`
    return !keys.has(key) && keys.add(key)
  })
}

function readOptions(program: 'ssh' | 'scp', args: readonly string[]) {
  const words: string[] = []
  let login: string | null = null
  let connects = true
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? ''
    if (word === '--') {
      words.push(...args.slice(index + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      // What follows the destination of ssh may still be options; behind the command's first word they are its own.
      if (program === 'ssh' && words.length > 1) break
      continue
    }
    const at = [...word].findIndex((letter, place) => place > 0 && WITH_VALUE[program].includes(letter))
    const flags = at === -1 ? word.slice(1) : word.slice(1, at + 1)
    if ([...flags].some((letter) => NO_CONNECTION[program].includes(letter))) connects = false
    if (at === -1) continue
    const value = at < word.length - 1 ? word.slice(at + 1) : (args[++index] ?? '')
    if (program === 'ssh' && word[at] === 'l') login = value
  }
  return { words, login, connects }
}

const withHost = (login: string | undefined, host: string): Destination => ({
  node: host.toLowerCase(),
  login: login === undefined || login === '' ? null : login,
})

/** `db-box`, `root@db-box`, `ssh://root@db-box:22` */
function sshDestination(word: string): Destination | null {
  const found = /^(?:ssh:\/\/)?(?:(.*)@)?([^@:/]+)(?::\d+)?\/?$/s.exec(word)
  return found?.[2] === undefined ? null : withHost(found[1], found[2])
}

/** `root@db-box:/tmp/x`, `scp://root@db-box/x`; without a colon before the first slash it is a file of this machine. */
function scpPlace(word: string): Destination | null {
  const found = /^scp:\/\/(?:([^@/]*)@)?([^@:/]+)/.exec(word) ?? /^(?:([^@/:]*)@)?([^@:/]+):/.exec(word)
  return found?.[2] === undefined ? null : withHost(found[1], found[2])
}
