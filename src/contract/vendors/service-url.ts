import { z } from 'zod'

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Of a vendor's service: TLS, or the same machine. Without userinfo, which only ever misleads who reads it. */
export const ServiceUrl = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .refine(isSafe, 'an address with https:// and without user or fragment (http:// only to this machine)')

function isSafe(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false
  return url.protocol === 'https:' || LOOPBACK.has(url.hostname)
}
