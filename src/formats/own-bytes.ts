/**
 * A copy in memory of its own, for bytes that live as long as a session. A small Buffer is else a part of a slab of 64 KiB
 * that it shares with others, and which lives as long as any of them.
 */
export function ownBytes(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
