import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Layout } from './layout.ts'

/** Where the product's programs are: how to start each. */
export interface Programs {
  readonly sally: readonly [string, ...string[]]
  readonly sallyctl: readonly [string, ...string[]]
  readonly sallyport: readonly [string, ...string[]]
  readonly proxyCommand: readonly string[]
}

/** The bundles in `dist/` of a checkout. */
export function bundledPrograms(checkout: string): Programs {
  const bundle = (name: string): readonly [string, string] => [process.execPath, join(checkout, 'dist', `${name}.mjs`)]
  return {
    sally: bundle('sally'),
    sallyctl: bundle('sallyctl'),
    sallyport: bundle('sallyport'),
    proxyCommand: bundle('proxy-command'),
  }
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')

/**
 * One folder of programs per account. OpenSSH ignores $HOME, so plain `ssh`, `scp` and `sftp` are wrappers that name the
 * account's configuration; outside the demo one Include in ~/.ssh/config does that (`sally config --install`).
 */
export function writeWrappers(layout: Layout, account: string, programs: Programs): void {
  const { home, bin } = layout.account(account)
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  const write = (name: string, ...lines: readonly string[]): void => {
    writeFileSync(join(bin, name), ['#!/bin/sh', ...lines, ''].join('\n'))
    chmodSync(join(bin, name), 0o755)
  }
  for (const name of ['ssh', 'scp', 'sftp']) {
    write(name, 'unset SSH_AUTH_SOCK', `exec ${quoted([`/usr/bin/${name}`, '-F', join(home, 'ssh_config')])} "$@"`)
  }
  write('sally', `SALLY_HOME=${quoted([home])} exec ${quoted(programs.sally)} "$@"`)
  write('sallyctl', `SALLY_HOME=${quoted([home])} exec ${quoted(programs.sallyctl)} "$@"`)
}

/** The operator sits on the daemon's own host: `sallyctl` finds the admin socket and needs no login. */
export function writeOperatorWrappers(layout: Layout, programs: Programs): void {
  const { home, bin } = layout.account('operator')
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  const line = `SALLY_HOME=${quoted([home])} SALLYPORT_SOCKET=${quoted([layout.adminSocket])} exec ${quoted(programs.sallyctl)} "$@"`
  writeFileSync(join(bin, 'sallyctl'), `#!/bin/sh\n${line}\n`)
  chmodSync(join(bin, 'sallyctl'), 0o755)
}

/** The environment of a terminal of that account. */
export function environmentOf(layout: Layout, account: string): Record<string, string> {
  const inherited = ['TERM', 'LANG', 'LC_ALL', 'USER', 'LOGNAME', 'SHELL', 'TMPDIR', 'NO_COLOR', 'COLUMNS']
  const kept = inherited.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const { home, bin } = layout.account(account)
  return { ...Object.fromEntries(kept), HOME: home, HISTFILE: '/dev/null', PATH: `${bin}:${process.env['PATH'] ?? ''}` }
}
