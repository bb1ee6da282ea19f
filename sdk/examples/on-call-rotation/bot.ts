// Whoever is on call by a file gets access at once, for an hour at most and never beyond the shift; reviewers of everything else
// are told who is on call.
//   node bot.ts [rotation.json]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AlreadyResolved, NotAllowed, RequestChanged, Sallyport, Unavailable, type AccessRequest } from '@sallyport/sdk'
import { onCallAt, readRotation, type Shift } from './rotation.ts'

const LONGEST_MS = 3_600_000
const file = process.argv[2] ?? join(import.meta.dirname, 'rotation.json')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

using sallyport = new Sallyport({
  address: setting('SALLYPORT_ADDRESS'),
  caPin: setting('SALLYPORT_CA_PIN'),
  token: readFileSync(setting('SALLYPORT_TOKEN_FILE'), 'utf8').trim(),
})
say(`on call now: ${nameOf(onCallAt(readRotation(file), Date.now()))}`)

const watch = sallyport.watchRequests({ signal: stop.signal, onBreak: (error) => say(`waiting: ${error.message}`) })
for await (const { type, request } of watch) {
  if (request.state === 'pending' && type !== 'access_request.annotate') await consider(request)
}

async function consider(request: AccessRequest): Promise<void> {
  if (!request.can.includes('review')) return
  try {
    const now = Date.now()
    const shift = onCallAt(readRotation(file), now)
    // A request that starts later would outlive what is known now, and an extension begins where the grant ends.
    if (shift?.person === request.user && request.start.at === 'approval' && request.kind !== 'extension') {
      const duration = Math.min(request.grantedDuration, LONGEST_MS, shift.until - now)
      await sallyport.approve(request, { reason: `${request.user} is on call`, duration })
      say(`${request.id}: ${request.user} is on call: ${Math.ceil(duration / 60_000)} minutes`)
    } else {
      await sallyport.annotate(request.id, { key: 'on-call', text: `on call now: ${nameOf(shift)}` })
      say(`${request.id}: ${request.user} is not on call`)
    }
  } catch (error) {
    if (error instanceof RequestChanged || error instanceof AlreadyResolved || error instanceof NotAllowed) return
    // A vote may be cast again: the same one twice is one vote.
    if (error instanceof Unavailable && !stop.signal.aborted) return await again(request, error)
    // A file that cannot be read puts nobody on call; people still decide.
    say(`${request.id}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function again(request: AccessRequest, { message }: Error): Promise<void> {
  say(`${request.id}: once more in a moment: ${message}`)
  await pause(3000, undefined, { signal: stop.signal }).catch(() => {})
  if (!stop.signal.aborted) await consider(request)
}

function nameOf(shift: Shift | null): string {
  return shift ? `${shift.person} until ${new Date(shift.until).toISOString()}` : 'nobody'
}

function setting(name: string): string {
  const value = process.env[name]
  if (value) return value
  throw new Error(`${name} is not set; see README.md`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
