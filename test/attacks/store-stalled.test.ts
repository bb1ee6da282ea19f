import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError } from '../../src/contract/api-error.ts'
import { NODE, startFaultHouse, type FaultHouse } from '../support/fault-house.ts'
import type { RunningProgram } from '../support/run.ts'
import { until } from '../support/until.ts'

const STALL_MS = 2000

let house: FaultHouse
beforeEach(async () => {
  house = await startFaultHouse()
})
afterEach(() => house.sallyport.stop())

/** A shell at its prompt; what is typed comes back as echo only, since `cat` repeats whole lines alone. */
async function openShell(): Promise<RunningProgram> {
  const shell = house.alice.start('ssh', '-tt', NODE)
  // What is typed while bash still edits its line is not echoed by the terminal: wait until cat has it.
  shell.write("stty -icanon; echo READ''Y; exec cat >/dev/null\r")
  await shell.prints(/READY/)
  shell.write('before')
  await shell.prints(/before$/)
  return shell
}

/** Types keys one by one, each only once the one before has come back: as somebody does who looks at the screen. */
async function typeAndSee(shell: RunningProgram, keys: string): Promise<void> {
  for (const key of keys) {
    const seen = shell.stdout().length
    shell.write(key)
    await until(`the echo of ${key}`, () => shell.stdout().slice(seen).includes(key))
  }
}

interface Stalled {
  /** In their order */
  readonly events: readonly string[]
  /** What became of a deed that was asked for at the stall's beginning */
  readonly deed: string
}

/** Keys are typed and seen for two seconds while the store is stalled and a deed waits for it. */
async function duringStall(stall: () => () => void): Promise<Stalled> {
  const events: string[] = []
  await using shell = await openShell()
  const release = stall()
  const started = performance.now()
  const deed = addRole('made-while-stalled').finally(() => events.push('the deed is answered'))
  await typeAndSee(shell, 'abcdefghij')
  events.push('ten keys echoed')
  await pause(Math.max(0, STALL_MS - (performance.now() - started)))
  await typeAndSee(shell, 'klmnopqrst')
  events.push('ten more keys echoed', 'the stall ends')
  release()
  const outcome = { events, deed: await deed }
  expect(shell.child.exitCode).toBe(null)
  expect(await addRole('made-after-it')).toBe('stored')
  return outcome
}

function addRole(name: string): Promise<string> {
  const document = { kind: 'role', version: 'v1', metadata: { name }, spec: { allow: {} } }
  return house.sallyport.api.createDocument({ body: { document } }).then(
    () => 'stored',
    (error: unknown) => (error instanceof ApiError ? error.code : String(error)),
  )
}

test("keys echo in an open shell while another process holds the database's write lock", async () => {
  const other = new DatabaseSync(house.sallyport.database)
  try {
    const { events, deed } = await duringStall(() => {
      other.exec('BEGIN IMMEDIATE')
      return () => other.exec('ROLLBACK')
    })
    const keys = events.filter((event) => event !== 'the deed is answered')
    expect(keys).toEqual(['ten keys echoed', 'ten more keys echoed', 'the stall ends'])
    // It waits half a second and is then refused: what gives power never goes ahead of its event.
    expect(deed).toBe('store_unavailable')
  } finally {
    other.close()
  }
})

test('keys echo in an open shell while the control process stands still', async () => {
  const { events, deed } = await duringStall(() => {
    process.kill(house.sallyport.pid, 'SIGSTOP')
    return () => process.kill(house.sallyport.pid, 'SIGCONT')
  })
  expect(events).toEqual(['ten keys echoed', 'ten more keys echoed', 'the stall ends', 'the deed is answered'])
  expect(deed).toBe('stored')
})
