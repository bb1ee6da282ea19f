import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import type { RecordingHead } from './control-plane.ts'
import { RelaySessions, type RelaySession } from './relay-sessions.ts'

const head: RecordingHead = { chunks: 1, bytes: 10, digest: 'ab' }

test('heads are reported while a session records, and no longer after the last has ended', async () => {
  const { sessions, reported, clock } = world()
  const session = new OpenSession(['s1', head])
  const running = sessions.run(session)
  clock.advance(5_000)
  clock.advance(5_000)
  session.end()
  await running
  clock.advance(20_000)
  expect(reported).toEqual([new Map([['s1', head]]), new Map([['s1', head]])])
  expect(sessions.size).toBe(0)
})

test('a session without a recording yet reports nothing, and is asked again', async () => {
  const { sessions, reported, clock } = world()
  const session = new OpenSession(null)
  const running = sessions.run(session)
  clock.advance(5_000)
  expect(reported).toEqual([])
  session.recordingHead = ['s1', head]
  clock.advance(5_000)
  expect(reported).toHaveLength(1)
  session.end()
  await running
})

test('a session that fails is forgotten and its error passed on', async () => {
  const { sessions } = world()
  const session = new OpenSession(null)
  const running = sessions.run(session)
  session.fail(new Error('broken'))
  await expect(running).rejects.toThrow('broken')
  expect(sessions.size).toBe(0)
})

test('the stop tells every session, and from then on nothing new may start', async () => {
  const { sessions } = world()
  const open = [new OpenSession(null), new OpenSession(null)]
  const running = open.map((session) => sessions.run(session))
  expect(sessions.isStopping).toBe(false)
  const told = sessions.tellAndClose('going down')
  expect(sessions.isStopping).toBe(true)
  await Promise.all([told, ...running])
  expect(open.map((session) => session.told)).toEqual(['going down', 'going down'])
})

function world() {
  const clock = new ManualClock()
  const reported: ReadonlyMap<string, RecordingHead>[] = []
  const sessions = new RelaySessions({ clock, control: { reportHeads: (heads) => void reported.push(heads) } })
  return { clock, reported, sessions }
}

class OpenSession implements RelaySession {
  recordingHead: readonly [string, RecordingHead] | null
  told: string | null = null
  readonly #end = Promise.withResolvers<void>()

  constructor(recordingHead: readonly [string, RecordingHead] | null) {
    this.recordingHead = recordingHead
  }

  run(): Promise<void> {
    return this.#end.promise
  }

  tellAndClose(text: string): Promise<void> {
    this.told = text
    this.end()
    return this.#end.promise
  }

  end(): void {
    this.#end.resolve()
  }

  fail(error: Error): void {
    this.#end.reject(error)
  }
}
