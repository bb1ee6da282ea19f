import type { Duplex } from 'node:stream'
import { readOpening, type Opening } from './wire/opening.ts'

export interface ReadPacket {
  readonly opening: Exclude<Opening, { kind: 'need_more' }>
  /** What came behind it */
  readonly rest: Buffer
}

/** Null: the client has left. The socket is paused afterwards. Errors: ProtocolError, and what the signal says. */
export function readFirstPacket(socket: Duplex, before: Buffer, signal: AbortSignal): Promise<ReadPacket | null> {
  return new Promise((resolve, reject) => {
    let bytes = before
    const stop = (): void => {
      socket.pause()
      socket.off('data', onData)
      socket.off('close', onGone)
      socket.off('end', onGone)
      signal.removeEventListener('abort', onAbort)
    }
    const onGone = (): void => {
      stop()
      resolve(null)
    }
    const onAbort = (): void => {
      stop()
      reject(signal.reason as Error)
    }
    const look = (): boolean => {
      try {
        const opening = readOpening(bytes)
        if (opening.kind === 'need_more') return false
        stop()
        resolve({ opening, rest: bytes.subarray(opening.consumed) })
      } catch (error) {
        stop()
        reject(error as Error)
      }
      return true
    }
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      look()
    }
    if (signal.aborted) onAbort()
    else if (socket.destroyed) onGone()
    else if (!look()) {
      signal.addEventListener('abort', onAbort, { once: true })
      socket.on('data', onData)
      socket.once('close', onGone)
      socket.once('end', onGone)
      socket.resume()
    }
  })
}
