// What is measured through: the server itself, or something in front of it.
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { TempFolder } from '../../test/support/temp-folder.ts'

export interface MysqlTarget {
  readonly name: string
  readonly port: number
  readonly files: ClientFiles
  /** Holds those files under the names by which sysbench looks for them in its own folder */
  readonly folder: string
  /** Root of the tree of processes whose CPU time is the proxy's; null: the server itself */
  readonly pid: number | null
}

/** Paths of PEM files */
export interface ClientFiles {
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

export interface MysqlTargets {
  readonly direct: MysqlTarget
  readonly haproxy: MysqlTarget
  /** Node with TLS on both sides, and nothing done with the bytes */
  readonly bare: MysqlTarget
  /** The default configuration first */
  readonly ours: readonly [MysqlTarget, ...MysqlTarget[]]
  readonly all: readonly MysqlTarget[]
}

export const DATABASE = 'bench'
export const USER = 'app'

export function mysqlTarget(
  folder: TempFolder,
  way: { readonly name: string; readonly port: number; readonly files: ClientFiles; readonly pid: number | null },
): MysqlTarget {
  const own = folder.file(way.name.replaceAll(' ', '-'))
  const { ca, certificate, key } = way.files
  mkdirSync(own)
  for (const [name, from] of [
    ['cacert.pem', ca],
    ['client-cert.pem', certificate],
    ['client-key.pem', key],
  ] as const)
    symlinkSync(from, join(own, name))
  return { ...way, folder: own }
}
