// The steps that most journeys share: somebody asks, others approve, a shell is open.
import type { Account } from './account.ts'
import type { Terminal } from './terminal.ts'

/** Files a request and gives its id. `args`: more for `sally request create`. */
export async function ask(account: Account, role: string, ...args: readonly string[]): Promise<string> {
  const words = ['request', 'create', `--roles=${role}`, '--reason=ticket #1234', '--nowait', '--format=json', ...args]
  const done = await account.sally(...words)
  const id = /"(req_[0-9a-f-]{36})"/.exec(done.stdout)?.[1]
  if (done.code !== 0 || id === undefined)
    throw new Error(`sally request create ended with ${done.code}: ${done.stderr}`)
  return id
}

export async function approve(reviewer: Account, id: string): Promise<void> {
  const done = await reviewer.sally('request', 'review', id, '--approve', '--reason=go ahead')
  if (done.code !== 0) throw new Error(`sally request review ended with ${done.code}: ${done.stderr}`)
}

/** A request of `account` that all of `reviewers` have approved; gives its id. */
export async function granted(
  account: Account,
  role: string,
  reviewers: readonly Account[],
  ...args: readonly string[]
): Promise<string> {
  const id = await ask(account, role, ...args)
  for (const reviewer of reviewers) await approve(reviewer, id)
  return id
}

export interface Shell {
  readonly terminal: Terminal
  /** Of the shell's process, which runs on this machine, too. */
  readonly pid: number
}

/** `ssh ARGS` in a terminal, at a quiet prompt. Closed with the account. */
export async function openShell(account: Account, ...args: readonly string[]): Promise<Shell> {
  const terminal = await account.terminal('ssh', ...args)
  await terminal.type("PS1=; stty -echo; echo SHE''LL $$ END\r")
  const [, pid = ''] = await terminal.shows(/SHELL (\d+) END/)
  return { terminal, pid: Number(pid) }
}
