import { parseDuration } from '../../contract/duration.ts'
import { normaliseName } from '../../formats/name.ts'
import { readLengthWords, readRequestWords, reasonColon, type RequestWords } from './request-grammar.ts'

// What is typed behind `/access`, the same for every vendor:
//
//   (nothing)                             a form
//   request ROLE[,ROLE...] [on RESOURCE[,RESOURCE...]] [as ACCOUNT] [from START] [for LENGTH][: REASON]
//   mine
//   roles              resources [WORD ...]
//   extend [WHICH] [by|for] LENGTH[: REASON]
//   return [WHICH]     cancel [WHICH]         by its id, or by the name of a role or resource of it
//   link [USER]        unlink             help
//
// Words are taken in any case, blanks are one blank. Everything behind the first colon is the reason, but for those of times of day.

export type ChatCommand =
  | { readonly kind: 'form' | 'mine' | 'roles' | 'unlink' | 'help' }
  | { readonly kind: 'link'; readonly user: string | null }
  | ({ readonly kind: 'request'; readonly reason: string } & RequestWords)
  | { readonly kind: 'resources'; readonly words: readonly string[] }
  | { readonly kind: 'extend'; readonly id: string | null; readonly durationMs: number; readonly reason: string }
  | { readonly kind: 'return' | 'cancel'; readonly id: string | null }

export type ReadCommand =
  | { readonly ok: true; readonly command: ChatCommand }
  | { readonly ok: false; readonly message: string }

const LONGEST = 8192
const ID = /^(?:req|grt)_[0-9a-f-]{36}$/
const ALONE = { mine: 'mine', roles: 'roles', unlink: 'unlink', help: 'help' } as const

/** Never throws, whatever was typed. */
export function readCommand(text: string): ReadCommand {
  if (text.length > LONGEST) return wrong('that is too long')
  const { head, reason } = split(text)
  const [verb = '', ...words] = head.split(' ').filter((word) => word !== '')
  const word = verb.toLowerCase()
  if (word === '') return reason === '' ? right({ kind: 'form' }) : wrong('what do you want?')
  if (Object.hasOwn(ALONE, word)) {
    const kind = ALONE[word as keyof typeof ALONE]
    return words.length === 0 && reason === '' ? right({ kind }) : wrong(`"${kind}" stands alone`)
  }
  if (word === 'link') return readLink(words, reason)
  if (word === 'request' || word === 'ask') return readRequest(words, reason)
  if (word === 'resources') return reason === '' ? right({ kind: 'resources', words }) : wrong('write: resources WORD')
  if (word === 'extend') return readExtend(words, reason)
  if (word === 'return' || word === 'cancel') return readOne(word, words, reason)
  return wrong(
    `"${[...verb].slice(0, 40).join('')}" is none of: request, mine, roles, resources, extend, return, cancel, link, unlink, help`,
  )
}

const right = (command: ChatCommand): ReadCommand => ({ ok: true, command })
const wrong = (message: string): ReadCommand => ({ ok: false, message })

/** The reason is kept as typed, but for blanks around it. */
function split(text: string): { head: string; reason: string } {
  const colon = reasonColon(text)
  const head = (colon < 0 ? text : text.slice(0, colon)).replace(/\s+/gu, ' ').trim()
  return { head, reason: colon < 0 ? '' : text.slice(colon + 1).trim() }
}

function readRequest(words: readonly string[], reason: string): ReadCommand {
  const read = readRequestWords(words)
  return read.ok ? right({ kind: 'request', ...read.words, reason }) : read
}

function readExtend(words: readonly string[], reason: string): ReadCommand {
  const { id, rest } = idFirst(words)
  const [small = ''] = rest
  const isSmall = ['by', 'for'].includes(small.toLowerCase())
  const length = readLengthWords(isSmall ? rest.slice(1) : rest)
  if (!length.ok) return length
  return right({ kind: 'extend', id, durationMs: length.ms, reason })
}

function readOne(kind: 'return' | 'cancel', words: readonly string[], reason: string): ReadCommand {
  const { id, rest } = idFirst(words)
  if (rest.length > 0 || reason !== '')
    return wrong(`write: ${kind}, or ${kind} and the name of a role or resource, or an id`)
  return right({ kind, id })
}

function readLink(words: readonly string[], reason: string): ReadCommand {
  const [user = null, ...more] = words
  if (more.length > 0 || reason !== '') return wrong('write: link, or link and your name in Sallyport')
  if (user === null) return right({ kind: 'link', user })
  const name = normaliseName(user)
  return name.ok ? right({ kind: 'link', user: name.name }) : wrong(name.message)
}

/** An id, or the name of a role or resource. What may be a length of time is none. */
function idFirst(words: readonly string[]): { id: string | null; rest: readonly string[] } {
  const [first = '', ...rest] = words
  if (ID.test(first)) return { id: first, rest }
  const name = first.toLowerCase()
  const isName = NAMED.test(name) && !['by', 'for'].includes(name) && !parseDuration(name).ok
  return isName ? { id: name, rest } : { id: null, rest: words }
}

const NAMED = /^[a-z0-9][a-z0-9._-]{0,62}(?:\/[a-z0-9][a-z0-9._-]{0,62})?$/

/** Names one of several requests or grants by itself. */
export const isRequestId = (text: string): boolean => ID.test(text)

/** What `/access help` says. */
export const COMMAND_HELP: readonly string[] = [
  '/access - a form to ask for access',
  '/access roles, /access resources WORD - what you may ask for',
  '/access request ROLE for 1h: REASON - asks for a role; several with commas',
  '/access request on node/NAME for 1h: REASON - asks for a resource alone, "as LOGIN" behind it for one login alone',
  '/access request ROLE from 18:00 UTC for 1h: REASON - from then on; or "from first-use"',
  '/access mine - what you asked for and have',
  '/access extend 30m: REASON - more time for what you have',
  '/access return - gives what you have back; /access cancel - takes back a request that waits',
  'Of several, name one by a role, a resource or its id: /access return dba, /access extend dba 30m',
  '/access link [NAME], /access unlink - whose account this is',
]
