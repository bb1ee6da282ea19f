import { createHash, randomBytes } from 'node:crypto'

// What people and vendors bring back, stored as its hash alone. Each kind is hashed under its own name, so that none stands for another.

export type SecretKind = 'form' | 'confirmation' | 'link' | 'inbox' | 'visit' | 'password'

export function hashOf(kind: SecretKind, text: string): string {
  return createHash('sha256').update(`sallyport chat ${kind}\n${text}`).digest('hex')
}

/** 256 random bits. */
export function randomText(): string {
  return randomBytes(32).toString('base64url')
}

/** As a message's rendering is stored with it (access/notify/claim-messages.ts). */
export const buttonHash = (buttonId: string): string => createHash('sha256').update(buttonId).digest('hex')
