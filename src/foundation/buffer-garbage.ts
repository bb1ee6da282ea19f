/**
 * Each relayed byte leaves about three in buffers outside the heap. The collector notices them at 64 MB, and then marks the
 * whole heap, again and again; asked earlier to look at what is young, it finds them in a fraction of that time.
 */
const COLLECT_EVERY_BYTES = 6 * 1024 * 1024

let relayed = 0

/** To be told of bulk data after it was passed on. Does something only in a process that was started with --expose-gc. */
export function leftInBuffers(bytes: number): void {
  relayed += bytes
  if (relayed < COLLECT_EVERY_BYTES) return
  relayed = 0
  void globalThis.gc?.({ type: 'minor' })
}
