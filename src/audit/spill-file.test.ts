import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SpilledOrder } from './deed.ts'
import { openSpillFile, type SpillFile, spillInMemory } from './spill-file.ts'

let folder: string
let path: string
let open: SpillFile[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-spill-'))
  path = join(folder, 'data', 'orders.spill')
  open = []
})
afterEach(() => {
  for (const file of open) file.close()
  rmSync(folder, { recursive: true })
})

function openFile(onFull?: (order: SpilledOrder) => void): SpillFile {
  const file = openSpillFile(path, onFull)
  open.push(file)
  return file
}
const order = (id: number): SpilledOrder => ({ name: 'revoke', input: { id } })
const ids = (file: SpillFile): unknown[] => file.kept().map((kept) => kept.order.input['id'])

describe('the spill file', () => {
  it('has its whole size from the start, private to its owner', () => {
    openFile()
    const { size, blocks, mode } = statSync(path)
    expect(size).toBe(1024 * 1024)
    // Not a hole: each byte has its place on the disk.
    expect(blocks * 512).toBeGreaterThanOrEqual(size)
    expect(mode & 0o777).toBe(0o600)
  })

  it('gives back after a restart what was not done, in its order', () => {
    const file = openFile()
    const kept = [1, 2, 3, 4].map((id) => file.keep(order(id)))
    file.done(kept[1]!)
    expect(ids(openFile())).toEqual([1, 3, 4])
  })

  it('starts anew when everything is done, and shows nothing of the round before', () => {
    const file = openFile()
    const first = [1, 2, 3].map((id) => file.keep(order(id)))
    for (const kept of first) file.done(kept)
    expect(ids(openFile())).toEqual([])
    file.keep(order(9))
    expect(ids(openFile())).toEqual([9])
  })

  it('drops a record that was cut anywhere, and keeps those before it', () => {
    const file = openFile()
    file.keep(order(1))
    file.keep(order(2))
    const whole = readFileSync(path)
    const second = whole.indexOf('revoke', whole.indexOf('revoke') + 1)
    for (let at = second - 60; at < second + 8; at++) {
      const cut = Buffer.from(whole)
      cut.fill(0, at, second + 30)
      writeFileSync(path, cut)
      const found = ids(openFile())
      expect(found.length, String(at)).toBeLessThan(2)
    }
    writeFileSync(path, whole)
    expect(ids(openFile())).toEqual([1, 2])
  })

  it('keeps orders in memory, and says so, when it is full itself', () => {
    const full: SpilledOrder[] = []
    const file = openFile((lost) => void full.push(lost))
    const big = { name: 'revoke', input: { text: 'x'.repeat(600_000) } }
    file.keep(big)
    const second = file.keep(big)
    expect(full).toEqual([big])
    expect(second.offset).toBeNull()
    expect(file.kept()).toHaveLength(2)
    expect(openFile().kept()).toHaveLength(1)
    file.done(second)
    expect(file.kept()).toHaveLength(1)
  })

  it('can be only memory, for tests', () => {
    const file = spillInMemory()
    const kept = file.keep(order(1))
    expect(ids(file)).toEqual([1])
    file.done(kept)
    expect(ids(file)).toEqual([])
  })
})
