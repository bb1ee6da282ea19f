import type { Socket } from 'node:net'

/** What comes behind them stays to be read. Rejects when the peer leaves before. */
export function readExactly(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const attempt = (): void => {
      const bytes = length === 0 ? Buffer.alloc(0) : (socket.read(length) as Buffer | null)
      if (bytes === null || bytes.length < length) {
        if (bytes !== null) fail()
        return
      }
      settle()
      resolve(bytes)
    }
    const fail = (): void => {
      settle()
      reject(new Error('the peer hung up'))
    }
    const settle = (): void => {
      socket.off('readable', attempt)
      socket.off('end', fail)
      socket.off('close', fail)
      socket.off('error', fail)
    }
    socket.on('readable', attempt)
    socket.on('end', fail)
    socket.on('close', fail)
    socket.on('error', fail)
    attempt()
  })
}
