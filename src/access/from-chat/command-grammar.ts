import { parseDuration } from '../../contract/duration.ts'

// What is typed behind `/access`, the same for every vendor:
//
//   (nothing)                             a form
//   request ROLE[,ROLE...] [for LENGTH][: REASON]
//   mine
//   extend [ID] [by|for] LENGTH[: REASON]
//   return [ID]        cancel [ID]
//   link               unlink             help
//
// Words are taken in any case, blanks are one blank. Everything behind the first colon that follows a blank, or ends a word, is the reason.

export type ChatCommand =
  | { readonly kind: 'form' | 'mine' | 'link' | 'unlink' | 'help' }
  | {
      readonly kind: 'request'
      readonly roles: readonly string[]
      readonly durationMs: number | null
      readonly reason: string
    }
  | { readonly kind: 'extend'; readonly id: string | null; readonly durationMs: number; readonly reason: string }
  | { readonly kind: 'return' | 'cancel'; readonly id: string | null }

export type ReadCommand =
  | { readonly ok: true; readonly command: ChatCommand }
  | { readonly ok: false; readonly message: string }

const LONGEST = 8192
const ID = /^(?:req|grt)_[0-9a-f-]{36}$/
const ALONE = { mine: 'mine', link: 'link', unlink: 'unlink', help: 'help' } as const

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
  if (word === 'request' || word === 'ask') return readRequest(words, reason)
  if (word === 'extend') return readExtend(words, reason)
  if (word === 'return' || word === 'cancel') return readOne(word, words, reason)
  return wrong(
    `"${[...verb].slice(0, 40).join('')}" is none of: request, mine, extend, return, cancel, link, unlink, help`,
  )
}

const right = (command: ChatCommand): ReadCommand => ({ ok: true, command })
const wrong = (message: string): ReadCommand => ({ ok: false, message })

/** The reason is kept as typed, but for blanks around it. */
function split(text: string): { head: string; reason: string } {
  const colon = text.indexOf(':')
  const head = (colon < 0 ? text : text.slice(0, colon)).replace(/\s+/gu, ' ').trim()
  return { head, reason: colon < 0 ? '' : text.slice(colon + 1).trim() }
}

function readRequest(words: readonly string[], reason: string): ReadCommand {
  const at = words.findIndex((word) => word.toLowerCase() === 'for')
  const named = (at < 0 ? words : words.slice(0, at)).join(' ')
  const roles = named.split(/[\s,]+/u).filter((role) => role !== '')
  if (roles.length === 0) return wrong('which role? write: request ROLE for 1h: REASON')
  if (roles.length > 50) return wrong('a request names at most 50 roles')
  if (at < 0) return right({ kind: 'request', roles, durationMs: null, reason })
  const length = readLengthWords(words.slice(at + 1))
  if (!length.ok) return length
  return right({ kind: 'request', roles, durationMs: length.ms, reason })
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
  if (rest.length > 0 || reason !== '') return wrong(`write: ${kind}, or ${kind} and the id of the request`)
  return right({ kind, id })
}

function idFirst(words: readonly string[]): { id: string | null; rest: readonly string[] } {
  const [first = '', ...rest] = words
  return ID.test(first) ? { id: first, rest } : { id: null, rest: words }
}

/** `1h 30m` is `1h30m`. */
function readLengthWords(words: readonly string[]): { ok: true; ms: number } | { ok: false; message: string } {
  if (words.length === 0) return { ok: false, message: 'for how long? write 30m, 1h or 1h30m' }
  return parseDuration(words.join('').toLowerCase())
}

/** What `/access help` says. */
export const COMMAND_HELP: readonly string[] = [
  '/access - a form to ask for access',
  '/access request ROLE[,ROLE] for 1h: REASON',
  '/access mine - what you asked for and have',
  '/access extend 30m: REASON - more time for what you have; several: name one by its id',
  '/access return - give it back; /access cancel - take a request back',
  '/access link, /access unlink - who you are here',
]
