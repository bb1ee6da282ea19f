// Approves what the business rules cover, as itself, and says beside the rest why it waits for people.
//   node bot.ts [business.json]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AlreadyResolved, NotAllowed, RequestChanged, Sallyport, Unavailable, type AccessRequest } from '@sallyport/sdk'
import { judge, readBusiness } from './rules.ts'

const file = process.argv[2] ?? join(import.meta.dirname, 'business.json')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

using sallyport = new Sallyport({
  address: setting('SALLYPORT_ADDRESS'),
  caPin: setting('SALLYPORT_CA_PIN'),
  token: readFileSync(setting('SALLYPORT_TOKEN_FILE'), 'utf8').trim(),
})
readBusiness(file)
say(`judging by ${file}`)

// No cursor is kept: a start begins with all that is pending, and what was judged before is judged to the same.
const watch = sallyport.watchRequests({ signal: stop.signal, onBreak: (error) => say(`waiting: ${error.message}`) })
for await (const { type, request } of watch) {
  // Its own notes are changes, too.
  if (request.state === 'pending' && type !== 'access_request.annotate') await consider(request)
}

async function consider(request: AccessRequest): Promise<void> {
  if (!request.can.includes('review')) return
  try {
    const verdict = judge(request, readBusiness(file))
    say(`${request.id} of ${request.user}: ${verdict.approve ? 'approved' : 'left to people'}: ${verdict.why}`)
    if (verdict.approve) await sallyport.approve(request, { reason: verdict.why })
    else await sallyport.annotate(request.id, { key: 'rules', text: `no rule approves it: ${verdict.why}` })
  } catch (error) {
    // It changed while we looked: its change is on its way and is judged by itself. It is over: nothing is left to do.
    if (error instanceof RequestChanged || error instanceof AlreadyResolved || error instanceof NotAllowed) return
    // A vote may be cast again: the same one twice is one vote.
    if (error instanceof Unavailable && !stop.signal.aborted) return await again(request, error)
    // Rules that cannot be read approve nothing; people still can.
    say(`${request.id}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function again(request: AccessRequest, { message }: Error): Promise<void> {
  say(`${request.id}: once more in a moment: ${message}`)
  await pause(3000, undefined, { signal: stop.signal }).catch(() => {})
  if (!stop.signal.aborted) await consider(request)
}

function setting(name: string): string {
  const value = process.env[name]
  if (value) return value
  throw new Error(`${name} is not set; see README.md`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
