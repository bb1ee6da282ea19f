import { expect, test } from 'vitest'
import { CursorGone, SallyportError, Unavailable } from '../../sdk/index.ts'
import type { AccessRequest } from '../../sdk/contract-types.ts'
import { watchChanges, type Change, type ChangesPage, type WatchSource } from '../../sdk/watch-requests.ts'

// The daemon's half is a log here; breaks come where they hurt.
const request = (id: string): AccessRequest => ({ id, version: 1, createdAt: 0 }) as AccessRequest

class Log implements WatchSource {
  readonly entries: string[] = []
  readonly open: string[] = []
  /** What the next calls do instead of answering */
  readonly breaks: Error[] = []
  calls = 0

  async changes({ cursor }: { cursor?: string }): Promise<ChangesPage> {
    this.calls += 1
    const broken = this.breaks.shift()
    if (broken) throw broken
    const from = cursor === undefined ? this.entries.length : Number(cursor)
    const items = this.entries.slice(from, from + 2).map((id) => ({ id, type: 'change', at: 0, request: request(id) }))
    return { items, cursor: String(from + items.length), more: from + items.length < this.entries.length }
  }

  async pending(cursor: string | undefined): Promise<{ items: AccessRequest[]; next: string | null }> {
    const broken = this.breaks.shift()
    if (broken) throw broken
    // Something is committed while the list is read.
    if (cursor === undefined) this.entries.push('while listing')
    const from = Number(cursor ?? 0)
    return {
      items: this.open.slice(from, from + 1).map(request),
      next: from + 1 < this.open.length ? String(from + 1) : null,
    }
  }
}

const away = (): Unavailable => new Unavailable('unreachable', 'no answer')

async function take(count: number, changes: AsyncIterable<Change>): Promise<Change[]> {
  const taken: Change[] = []
  for await (const change of changes) {
    taken.push(change)
    if (taken.length === count) break
  }
  return taken
}

test('begins with what is pending, and gives what was committed while that was listed', async () => {
  const log = new Log()
  log.open.push('a', 'b', 'c')
  const changes = await take(4, watchChanges(log, {}))
  expect(changes.map(({ type, request: { id } }) => `${type} ${id}`)).toEqual([
    'found a',
    'found b',
    'found c',
    'change while listing',
  ])
})

test('a break at any call loses nothing, doubles nothing and is told', async () => {
  const log = new Log()
  log.open.push('a')
  log.breaks.push(away(), away())
  const told: number[] = []
  const watching = watchChanges(log, { onBreak: (_error, wait) => void told.push(wait) })
  expect((await take(1, watching)).map(({ request: { id } }) => id)).toEqual(['a'])
  expect(told).toHaveLength(2)
  log.entries.push('one', 'two', 'three')
  log.breaks.push(away())
  const changes = await take(4, watchChanges(log, { cursor: '0', onBreak: (_error, wait) => void told.push(wait) }))
  expect(changes.map(({ id }) => id)).toEqual(['while listing', 'one', 'two', 'three'])
  expect(told).toHaveLength(3)
  expect(told.every((wait) => wait > 0 && wait <= 500)).toBe(true)
})

test('a cursor of a change that was dealt with never skips the next one, wherever a page was cut', async () => {
  const log = new Log()
  log.entries.push('one', 'two', 'three', 'four', 'five')
  const all = await take(5, watchChanges(log, { cursor: '0' }))
  for (const [index, { cursor }] of all.slice(0, -1).entries()) {
    const [next] = await take(1, watchChanges(log, { cursor }))
    expect(log.entries.indexOf(next?.id ?? '')).toBeLessThanOrEqual(index + 1)
  }
})

test('who stops in the middle of what was pending in the beginning gets the rest after a restart', async () => {
  const log = new Log()
  log.open.push('a', 'b', 'c')
  for (let stopped = 1; stopped <= 3; stopped++) {
    const last = (await take(stopped, watchChanges(log, {}))).at(-1)
    const after = await take(1, watchChanges(log, { cursor: last?.cursor ?? 'none' }))
    expect(after[0]?.request.id).toBe(stopped < 3 ? 'a' : 'while listing')
  }
})

test('what another try would not change comes out at once', async () => {
  for (const error of [
    new CursorGone('cursor_gone', 'too old'),
    new SallyportError('malformed', 'no'),
    new TypeError('a bug'),
  ]) {
    const log = new Log()
    log.breaks.push(error)
    await expect(take(1, watchChanges(log, { cursor: '0' }))).rejects.toBe(error)
    expect(log.calls).toBe(1)
  }
})

test('an aborted signal ends it without an error, also in the middle of a pause, and before the first call', async () => {
  const controller = new AbortController()
  const log = new Log()
  log.breaks.push(...Array.from({ length: 50 }, away))
  const onBreak = (): void => controller.abort()
  expect(await take(1, watchChanges(log, { cursor: '0', signal: controller.signal, onBreak }))).toEqual([])
  expect(await take(1, watchChanges(new Log(), { signal: AbortSignal.abort() }))).toEqual([])
})
