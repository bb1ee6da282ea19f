import { createPrivateKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'

// Trigger ids as the server makes and checks them: base64(ID ":" USER ":" MILLISECONDS ":" base64(ECDSA over what is before it)).

export interface TriggerMaker {
  /** base64 of the SubjectPublicKeyInfo, as the client configuration shows it */
  readonly publicKey: string
  make(userId: string, now: number): string
  /** The user whose click it was, or the server's words of refusal. */
  check(triggerId: string, now: number): { readonly userId: string } | { readonly error: string }
}

export function triggerMaker(newId: () => string, lifeMs: number): TriggerMaker {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const privateKey = createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return {
    publicKey: pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
    make(userId, now) {
      const data = `${newId()}:${userId}:${now}:`
      const signature = sign('sha256', Buffer.from(data), privateKey).toString('base64')
      return Buffer.from(data + signature).toString('base64')
    },
    check: (triggerId, now) => check(pair.publicKey, triggerId, now, lifeMs),
  }
}

function check(key: KeyObject, triggerId: string, now: number, lifeMs: number): { userId: string } | { error: string } {
  const parts = Buffer.from(triggerId, 'base64').toString('latin1').split(':')
  const [id, userId, at, signature] = parts
  if (parts.length !== 4 || !id || !userId || !at || !signature)
    return { error: 'interactive_message.decode_trigger_id.missing_data' }
  if (now - Number(at) > lifeMs) return { error: 'interactive_message.decode_trigger_id.expired' }
  const good = verify('sha256', Buffer.from(`${id}:${userId}:${at}:`), key, Buffer.from(signature, 'base64'))
  return good ? { userId } : { error: 'interactive_message.decode_trigger_id.verify_signature_failed' }
}
