import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto'

// Mattermost signs nothing that it sends to integrations. What stands in for a signature, all HMAC-SHA256 under one key of the
// integration, over lines whose first one names what is authenticated:
//
//   address   path of the callbacks of buttons; buttons are kept by the server and never reach a client
//   context   what a button brings back: which one, of which rendering, in which channel, until when
//   dialog    whose form with which nonce; a form does pass through the client, and everything in it can be made up there
//
// and the server's own word: a trigger id is signed by it (ECDSA P-256) over a random id, the user and the time.

const VERSION = 'sallyport mattermost v1'

/** What a button says about itself. `until`: milliseconds since 1970. */
export interface ButtonContext {
  readonly button: string
  readonly buttonId: string
  readonly channel: string
  readonly until: number
}

/** Who made a trigger id and when, as it says itself. Random 26 characters tell one click from another. */
export interface Trigger {
  readonly id: string
  readonly userId: string
  readonly at: number
}

export function actionsPath(key: string, integration: string): string {
  return `actions-${mac(key, ['address', integration]).slice(0, 32)}`
}

export function isActionsPath(key: string, integration: string, path: string): boolean {
  return sameText(actionsPath(key, integration), path)
}

/** Values of a context are strings: servers have turned large numbers into floats. */
export function signContext(key: string, integration: string, facts: ButtonContext): Record<string, string> {
  return { ...asText(facts), mac: contextMac(key, integration, facts) }
}

/** null: not ours, or changed. Whether `until` has passed is the caller's to see. */
export function readContext(key: string, integration: string, context: unknown): ButtonContext | null {
  if (typeof context !== 'object' || context === null) return null
  const { button, buttonId, channel, until, mac: given, ...more } = context as Record<string, unknown>
  if (typeof button !== 'string' || typeof buttonId !== 'string' || typeof channel !== 'string') return null
  if (typeof until !== 'string' || !/^\d{1,15}$/.test(until) || typeof given !== 'string') return null
  if (Object.keys(more).length > 0) return null
  const facts = { button, buttonId, channel, until: Number(until) }
  return sameText(contextMac(key, integration, facts), given) ? facts : null
}

/** The `callback_id` of a form: of this nonce, for this user. */
export function dialogSeal(key: string, integration: string, nonce: string, userId: string): string {
  return mac(key, ['dialog', integration, nonce, userId])
}

export function isDialogSeal(
  key: string,
  integration: string,
  dialog: { readonly nonce: string; readonly userId: string; readonly seal: string },
): boolean {
  return sameText(dialogSeal(key, integration, dialog.nonce, dialog.userId), dialog.seal)
}

/** base64 of `ID:USER:MILLISECONDS:` and the base64 of the server's signature over that. null: has another shape. */
export function readTrigger(text: string): Trigger | null {
  const parts = triggerParts(text)
  return parts && { id: parts.id, userId: parts.userId, at: parts.at }
}

/** `publicKey`: the server's AsymmetricSigningPublicKey, base64 of its SubjectPublicKeyInfo. */
export function isTriggerOf(publicKey: string, text: string): boolean {
  const parts = triggerParts(text)
  if (!parts) return false
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    return verify('sha256', Buffer.from(parts.signed), key, Buffer.from(parts.signature, 'base64'))
  } catch {
    return false
  }
}

/** In the time that equal texts take, whatever they differ in. */
export function sameText(ours: string, theirs: string): boolean {
  const a = createHmac('sha256', VERSION).update(ours).digest()
  const b = createHmac('sha256', VERSION).update(theirs).digest()
  return timingSafeEqual(a, b)
}

function triggerParts(text: string): (Trigger & { signed: string; signature: string }) | null {
  if (text.length > 1000) return null
  const found = /^(([a-z0-9]{26}):([a-z0-9]{26}):(\d{1,15}):)([A-Za-z0-9+/]+=*)$/.exec(
    Buffer.from(text, 'base64').toString('latin1'),
  )
  if (!found) return null
  const [, signed = '', id = '', userId = '', at = '', signature = ''] = found
  return { id, userId, at: Number(at), signed, signature }
}

function asText({ button, buttonId, channel, until }: ButtonContext): Record<string, string> {
  return { button, buttonId, channel, until: String(until) }
}

function contextMac(key: string, integration: string, facts: ButtonContext): string {
  const { button, buttonId, channel, until } = asText(facts)
  return mac(key, ['context', integration, button ?? '', buttonId ?? '', channel ?? '', until ?? ''])
}

/** JSON keeps the parts apart, whatever is in them. */
function mac(key: string, parts: readonly string[]): string {
  if (key.length < 32) throw new Error('a key of at least 32 characters authenticates')
  return createHmac('sha256', key)
    .update(JSON.stringify([VERSION, ...parts]))
    .digest('hex')
}
