import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import type { PlayedRecord } from '../../../contract/recording.ts'
import { DEFAULT_PLAY, type PlayOptions, type PlayOutput } from './play-options.ts'
import { playSession } from './play-session.ts'
import { replay } from './replay.ts'
import { toAsciicast } from './to-asciicast.ts'

const out = (at: number, text: string | Buffer, channel = 0): PlayedRecord => ({
  kind: 'output',
  at,
  channel,
  stream: 'stdout',
  bytes: Buffer.from(text as string).toString('base64'),
})
const START: PlayedRecord = {
  kind: 'start',
  at: 0,
  session: 'ses_1',
  user: 'ada',
  node: 'db-box',
  login: 'postgres',
  time: Date.UTC(2026, 10, 22, 9),
}
const PTY: PlayedRecord = { kind: 'pty', at: 1, channel: 0, term: 'xterm', columns: 100, rows: 30 }

async function* stream(records: readonly PlayedRecord[]): AsyncGenerator<PlayedRecord> {
  for (const record of records) yield await Promise.resolve(record)
}

async function printed(records: readonly PlayedRecord[], options: Partial<PlayOptions> = {}): Promise<string> {
  const parts: Uint8Array[] = []
  const output: PlayOutput = { size: null, write: (bytes) => Promise.resolve(void parts.push(bytes)) }
  const task = { clock: new ManualClock(), signal: new AbortController().signal }
  await playSession(stream(records), { ...DEFAULT_PLAY, ...options }, output, task)
  return Buffer.concat(parts).toString()
}

const turn = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A replay on a terminal whose clock stands until told. */
function onTerminal(records: readonly PlayedRecord[], options: Partial<PlayOptions> = {}) {
  const clock = new ManualClock()
  const stop = new AbortController()
  const parts: Uint8Array[] = []
  let press: (key: string) => void = () => {}
  const output: PlayOutput = {
    size: { columns: 80, rows: 24 },
    write: (bytes) => Promise.resolve(void parts.push(bytes)),
    onKey: (listener) => {
      press = listener
      return () => void (press = () => {})
    },
  }
  const result = playSession(stream(records), { ...DEFAULT_PLAY, ...options }, output, { clock, signal: stop.signal })
  result.catch(() => {})
  return {
    result,
    stop,
    shown: () => Buffer.concat(parts).toString(),
    key: async (key: string) => {
      press(key)
      await turn()
    },
    after: async (ms: number) => {
      await turn()
      clock.advance(ms)
      await turn()
    },
  }
}

describe('replay as text', () => {
  test('shows output as it was, and everything else as readable lines', async () => {
    const sha256 = 'ab'.repeat(32)
    const text = await printed([
      START,
      { kind: 'exec', at: 1, channel: 0, command: 'ls\x1b]0;x\x07' },
      out(2, 'no line end'),
      { kind: 'file', at: 3, channel: 1, via: 'sftp', operation: 'write', path: '/tmp/a', size: 3, sha256, ok: true },
      { kind: 'file', at: 3, channel: 1, via: 'scp', operation: 'open', path: 'b', ok: false, error: 'denied' },
      { kind: 'forward', at: 4, channel: 2, direction: 'local', target: 'db:5432' },
      { kind: 'gap', at: 5, bytes: 12, reason: 'ENOSPC' },
      { kind: 'exit', at: 6, channel: 0, status: 3, signal: null },
      { kind: 'end', at: 7, reason: 'exit' },
    ])
    expect(text).toBe(
      [
        '-- session ses_1: ada on postgres@db-box, 2026-11-22 09:00:00 UTC --',
        '-- command: ls\\x1b]0;x\\x07 --',
        'no line end\r',
        `-- sftp write /tmp/a, 3 bytes, SHA-256 ${sha256} --`,
        '-- scp open b, FAILED: denied --',
        '-- local forwarding to db:5432 --',
        '-- MISSING HERE: 12 bytes that were shown and could not be stored (ENOSPC) --',
        '-- exit status 3 --',
        '-- end: exit --',
        '',
      ].join('\n'),
    )
  })

  test('a sequence that is split over two records is still left out', async () => {
    expect(await printed([out(0, 'a\x1b]52;c;'), out(1, 'AAAA\x07b')])).toBe('ab')
  })

  test('without a terminal nothing waits', async () => {
    expect(await printed([out(0, 'a'), out(3_600_000, 'b')], { skipIdle: false })).toBe('ab')
  })
})

describe('time', () => {
  test('passes as recorded, idle time cut to a second', async () => {
    const film = onTerminal([out(0, 'a'), out(300, 'b'), out(60_000, 'c')])
    await film.after(0)
    expect(film.shown()).toBe('a')
    await film.after(299)
    expect(film.shown()).toBe('a')
    await film.after(1)
    expect(film.shown()).toBe('ab')
    await film.after(1000)
    expect(film.shown()).toContain('abc')
    expect(await film.result).toBe('ended')
  })

  test('all of it passes with --no-skip-idle, four times as fast with --speed=4', async () => {
    const film = onTerminal([out(0, 'a'), out(60_000, 'b')], { skipIdle: false, speed: 4 })
    await film.after(14_999)
    expect(film.shown()).toBe('a')
    await film.after(1)
    expect(film.shown()).toContain('ab')
  })

  test('records that show nothing do not add pauses', async () => {
    const scenes = []
    const quiet: PlayedRecord[] = [5000, 10_000, 15_000].map((at) => ({ kind: 'input', at, channel: 0, bytes: '' }))
    for await (const scene of replay(stream([out(0, 'a'), ...quiet, out(20_000, 'b')]), DEFAULT_PLAY, null)) {
      scenes.push(scene.wait)
    }
    expect(scenes).toEqual([0, 1000])
  })

  test('space pauses and goes on where it was, + doubles the speed, q leaves and puts the screen back', async () => {
    const film = onTerminal([out(0, '\x1b[?1049ha'), out(1000, 'b'), out(2000, 'c'), out(3000, 'd')])
    await film.after(400)
    await film.key(' ')
    await film.after(60_000)
    expect(film.shown()).not.toContain('b')
    await film.key(' ')
    await film.after(599)
    expect(film.shown()).not.toContain('b')
    await film.after(1)
    expect(film.shown()).toContain('b')
    await film.key('+')
    await film.after(500)
    expect(film.shown()).toContain('c')
    await film.key('q')
    expect(await film.result).toBe('left')
    expect(film.shown()).not.toContain('d')
    expect(film.shown().endsWith('\x1b[?25h\x1b[?7h\r\n')).toBe(true)
    expect(film.shown().split('c')[1]).toContain('\x1b[?1049l')
  })

  test('Ctrl-C stops it in the middle of a pause, and the screen is put back', async () => {
    const film = onTerminal([out(0, 'a'), out(1000, 'b')])
    await film.after(0)
    film.stop.abort(new Error('interrupted'))
    await expect(film.result).rejects.toThrow('interrupted')
    expect(film.shown()).toContain('\x1b[?1049l')
  })

  test('a recording that breaks off in the middle fails after what it holds', async () => {
    async function* broken(): AsyncGenerator<PlayedRecord> {
      yield await Promise.resolve(out(0, 'a'))
      throw new Error('cut')
    }
    const parts: Uint8Array[] = []
    const output: PlayOutput = { size: null, write: (bytes) => Promise.resolve(void parts.push(bytes)) }
    const task = { clock: new ManualClock(), signal: new AbortController().signal }
    await expect(playSession(broken(), DEFAULT_PLAY, output, task)).rejects.toThrow('cut')
    expect(Buffer.concat(parts).toString()).toBe('a')
  })
})

describe('for programs', () => {
  test('JSON keeps every byte, one record a line', async () => {
    const raw = out(1, Buffer.from('\xff\x1b]0;t\x07', 'latin1'))
    const lines = (await printed([START, raw], { format: 'json' })).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([START, raw])
  })

  test('asciicast v2 has size, time and title first, and characters split over records stay whole', async () => {
    const euro = Buffer.from('€')
    const lines: unknown[] = []
    const records: PlayedRecord[] = [
      START,
      PTY,
      out(1000, euro.subarray(0, 1)),
      out(1500, Buffer.concat([euro.subarray(1), Buffer.from('\x1b]52;c;A\x07!')])),
      { kind: 'resize', at: 2000, channel: 0, columns: 120, rows: 40 },
      out(2100, 'of another channel', 7),
      { kind: 'exit', at: 2500, channel: 0, status: 0, signal: null },
    ]
    for await (const line of toAsciicast(stream(records))) lines.push(JSON.parse(line))
    expect(lines).toEqual([
      {
        version: 2,
        width: 100,
        height: 30,
        timestamp: Date.UTC(2026, 10, 22, 9) / 1000,
        title: 'ada on postgres@db-box (ses_1)',
        env: { TERM: 'xterm' },
      },
      [1.5, 'o', '€!'],
      [2, 'r', '120x40'],
      [2.5, 'm', 'exit status 0'],
    ])
  })

  test('asciicast of a session without a terminal is 80x24 and has its line ends', async () => {
    const lines: unknown[] = []
    for await (const line of toAsciicast(stream([START, out(0, 'a\nb\n')]))) lines.push(JSON.parse(line))
    expect(lines).toMatchObject([{ width: 80, height: 24 }, [0, 'o', 'a\r\nb\r\n']])
  })
})
