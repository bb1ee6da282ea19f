import { expect, test } from 'vitest'
import { destinations } from './destinations.ts'

const NODES = new Set(['db-box', 'web-box'])

test.each<[string, string, readonly string[]]>([
  ['ssh', 'db-box', ['@db-box']],
  ['ssh', 'root@db-box uptime web-box', ['root@db-box']],
  ['ssh', 'ssh://root@db-box:22', ['root@db-box']],
  ['ssh', 'DB-Box', ['@db-box']],
  ['ssh', '-l root db-box', ['root@db-box']],
  ['ssh', '-lroot db-box', ['root@db-box']],
  ['ssh', '-l root deploy@db-box', ['deploy@db-box']],
  ['ssh', 'db-box -l root true', ['root@db-box']],
  ['ssh', 'db-box sudo -l root', ['@db-box']],
  ['ssh', '-vNL 8080:web-box:80 db-box', ['@db-box']],
  ['ssh', '-o User=x -i web-box db-box', ['@db-box']],
  ['ssh', '-J web-box elsewhere', []],
  ['ssh', '-- db-box', ['@db-box']],
  ['ssh', '-O exit db-box', []],
  ['ssh', '-G db-box', []],
  ['ssh', '-V', []],
  ['ssh', 'elsewhere db-box', []],
  ['ssh', '', []],
  ['ssh', '-p', []],
  ['scp', 'dump.sql db-box:/tmp/', ['@db-box']],
  ['scp', '-3 root@db-box:a web-box:b', ['root@db-box', '@web-box']],
  ['scp', 'db-box:a db-box:b c', ['@db-box']],
  ['scp', 'scp://root@db-box:22/a .', ['root@db-box']],
  ['scp', '-l 100 db-box:a .', ['@db-box']],
  ['scp', './db-box:a db-box', []],
])('%s %s connects to %j', (program, line, found) => {
  const args = line.split(' ').filter((word) => word !== '')
  const shown = destinations(program as 'ssh' | 'scp', args, NODES).map(({ login, node }) => `${login ?? ''}@${node}`)
  expect(shown).toEqual(found)
})
