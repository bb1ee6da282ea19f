import { describe, expect, test } from 'vitest'
import { ConfigError, parseConfig } from './config.ts'

const FILE = '/etc/sallyport/sallyport.yaml'
const read = (text: string) => parseConfig(text, FILE)
const problems = (text: string): readonly string[] => {
  try {
    read(text)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('it was accepted')
}

describe('the configuration', () => {
  test('needs a data folder only; the rest has defaults that are safe', () => {
    expect(read('data_dir: /var/lib/sallyport')).toMatchObject({
      listen: { host: '127.0.0.1', port: 3022 },
      keyEncryption: 'file:/var/lib/sallyport-key',
      checkpointFile: '/var/lib/sallyport-checkpoints/checkpoints.jsonl',
      recordingsDir: '/var/lib/sallyport/recordings',
      loginTtlMs: 12 * 3_600_000,
      offlineGraceMs: 60_000,
    })
  })

  test('takes paths relative to its own folder', () => {
    expect(read('data_dir: data\nkey_encryption: file:key')).toMatchObject({
      dataDir: '/etc/sallyport/data',
      keyEncryption: 'file:/etc/sallyport/key',
    })
  })

  test('is frozen', () => {
    expect(Object.isFrozen(read('data_dir: /d'))).toBe(true)
  })

  test('names every fault at once, and what a misspelt key may have meant', () => {
    expect(problems('data_dir: /d\nlisten: nowhere\nworker: 2\nlimits: { conections: 3 }')).toEqual([
      'listen: "nowhere" is not HOST:PORT',
      'unknown key limits.conections; did you mean connections?',
      'unknown key worker; did you mean workers?',
    ])
  })

  test.each([
    ['an empty file', ''],
    ['a list', '- a'],
    ['a word', 'sallyport'],
    ['no data folder', 'workers: 1'],
    ['a number for a path', 'data_dir: 7'],
    ['an empty path', 'data_dir: ""'],
    ['a port out of range', 'data_dir: /d\nlisten: 127.0.0.1:70000'],
    ['no worker', 'data_dir: /d\nworkers: 0'],
    ['half a worker', 'data_dir: /d\nworkers: 1.5'],
    ['a duration without unit', 'data_dir: /d\nlogin_ttl: 12'],
    ['a negative duration', 'data_dir: /d\nlogin_ttl: -1h'],
    ['a duration of zero', 'data_dir: /d\nlogin_ttl: 0h'],
    ['a key source nobody knows', 'data_dir: /d\nkey_encryption: env:KEY'],
    ['a proxy name in capitals', 'data_dir: /d\nproxy_name: Proxy'],
    ['an unknown level', 'data_dir: /d\nlog: { level: loud }'],
    ['the same key twice', 'data_dir: /d\ndata_dir: /e'],
    ['broken YAML', 'data_dir: [/d'],
    ['an alias bomb', 'a: &a [x, x]\nb: &b [*a, *a]\ndata_dir: *b'],
  ])('refuses %s', (_name, text) => {
    expect(() => read(text)).toThrow()
  })
})
