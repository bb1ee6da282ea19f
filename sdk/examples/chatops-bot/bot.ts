// Reviewing in a chat of your own: requests are told in its room, and people there answer `approve 1a2b3c4d looks fine`.
//   node bot.ts        CHAT_PEOPLE names a file with {"carol": "her key", ...}
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { CursorGone, Sallyport, SallyportError, type AccessRequest, type Change } from '@sallyport/sdk'
import { Chat, type ChatMessage } from './chat.ts'

const ME = 'sallyport'
const stateFile = process.env['CHAT_STATE'] ?? 'chatops-bot.cursor'
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

using sallyport = new Sallyport({
  address: setting('SALLYPORT_ADDRESS'),
  caPin: setting('SALLYPORT_CA_PIN'),
  token: readFileSync(setting('SALLYPORT_TOKEN_FILE'), 'utf8').trim(),
})
/** As the room was shown them: a vote is for this and for nothing newer */
const shown = new Map<string, AccessRequest>()
const seen = new Set<string>()
const people = JSON.parse(readFileSync(setting('CHAT_PEOPLE'), 'utf8')) as Record<string, string>
const chat = new Chat(people, (message) => void answer(message))
const port = await chat.listen(Number(process.env['CHAT_PORT'] ?? 0))
process.stdout.write(`chat on http://127.0.0.1:${port}/messages\n`)

try {
  // After a restart the room has forgotten what it was shown: all that is pending is told again, then what has changed since.
  for await (const request of sallyport.list({ state: 'pending', signal: stop.signal })) tell(request, 'still waiting')
  await follow(readCursor())
} catch (error) {
  if (!stop.signal.aborted) throw error
} finally {
  chat.close()
}

async function follow(cursor: string | undefined): Promise<void> {
  try {
    const from = cursor === undefined ? {} : { cursor }
    for await (const change of sallyport.watchRequests({ ...from, signal: stop.signal })) {
      if (!seen.has(change.id)) hear(change)
      seen.add(change.id)
      if (seen.size > 1000) seen.delete([...seen][0] ?? '')
      // Once it is dealt with, and never half: a crash in between tells it twice rather than never.
      writeFileSync(`${stateFile}.new`, change.cursor)
      renameSync(`${stateFile}.new`, stateFile)
    }
  } catch (error) {
    if (!(error instanceof CursorGone)) throw error
    chat.say(ME, 'I was away too long to say what has happened since; from here on I know.')
    await follow(undefined)
  }
}

function hear({ type, request }: Change): void {
  if (request.state !== 'pending') {
    if (shown.delete(request.id))
      chat.say(ME, `${shortOf(request.id)} is ${request.state}: ${request.resolution ?? ''}`)
  } else if (type !== 'access_request.annotate' && shown.get(request.id)?.version !== request.version) {
    tell(
      request,
      `${request.progress.map(({ approvals, approve }) => `${approvals} of ${approve}`).join(', ')} approvals`,
    )
  }
}

function tell(request: AccessRequest, note: string): void {
  shown.set(request.id, request)
  const minutes = Math.round(request.grantedDuration / 60_000)
  const what = [...request.roles, ...request.resources.map(({ kind, name }) => `${kind}/${name}`)].join(', ')
  // What somebody wrote goes on a line of its own: it cannot look like something that the bot says.
  const lines = [`${shortOf(request.id)}: ${request.user} asks for ${what}, ${minutes} minutes (${note})`]
  lines.push(
    `> ${oneLine(request.reason)}`,
    `answer: approve ${shortOf(request.id)} WHY, or deny ${shortOf(request.id)} WHY`,
  )
  chat.say(ME, lines.join('\n'))
}

async function answer({ from, text }: ChatMessage): Promise<void> {
  const [, verb, short, why = ''] = /^(approve|deny) ([0-9a-f]{8})\b\s*(.*)$/s.exec(text) ?? []
  if (verb === undefined || short === undefined) return
  const request = [...shown.values()].find(({ id }) => shortOf(id) === short)
  if (!request) return void chat.say(ME, `${from}: nothing that waits here is called ${short}`)
  // Names of this room and of Sallyport are the same here; where yours differ, keep a table.
  if (from === request.user) return void chat.say(ME, `${from}: nobody decides about a request of their own`)
  try {
    const reason = `${from} in chat: ${oneLine(why)}`
    if (verb === 'approve') await sallyport.approve(request, { reason })
    else await sallyport.deny(request, { reason })
    await sallyport.annotate(request.id, {
      key: 'chat',
      text: `${verb === 'approve' ? 'approved' : 'denied'} by ${from} in chat`,
    })
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error
    chat.say(ME, `${from}: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`)
  }
}

function shortOf(id: string): string {
  return id.slice(-8)
}

function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 500)
}

function readCursor(): string | undefined {
  try {
    return readFileSync(stateFile, 'utf8')
  } catch {
    return undefined
  }
}

function setting(name: string): string {
  const value = process.env[name]
  if (value) return value
  throw new Error(`${name} is not set; see README.md`)
}
