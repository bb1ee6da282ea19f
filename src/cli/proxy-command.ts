#!/usr/bin/env node
// The ProxyCommand of `ssh root@db-box`: says in one line which node is meant, then passes bytes on. It starts before
// every such connection, so it imports node:net alone.
//   proxy-command HOST PORT NODE [LOGIN]      LOGIN: as configurations of earlier versions give it
import { createConnection } from 'node:net'

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/
const LOGIN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
const LONGEST_HEAD = 4096

function fail(message: string): never {
  process.stderr.write(`sally: ${message}\r\n`)
  process.exit(255)
}

const [host = '', port = '', rawNode = '', login] = process.argv.slice(2)
const node = rawNode.toLowerCase()
if (!NAME.test(node)) fail('that is not the name of a node')
if (login !== undefined && !LOGIN.test(login)) fail('a login is 1 to 64 of A-Z a-z 0-9 _ . -')

const socket = createConnection({ host, port: Number(port), noDelay: true })
socket.on('error', (error) => fail(`the proxy does not answer: ${error.message}`))
socket.on('connect', () => {
  socket.write(`CONNECT ${node}:22 HTTP/1.1\r\nHost: ${node}:22\r\n\r\n`)
})

let head = Buffer.alloc(0)
const readHead = (chunk: Buffer): void => {
  head = Buffer.concat([head, chunk])
  const end = head.indexOf('\r\n\r\n')
  if (end < 0) {
    if (head.length > LONGEST_HEAD) fail('the proxy answers with something else than expected')
    return
  }
  const status = /^HTTP\/1\.[01] (\d{3}) ?([\x20-\x7e]*)/.exec(head.toString('latin1', 0, end))
  if (status?.[1] !== '200') fail(`the proxy refuses: ${status?.[2] ?? 'no reason given'}`)
  socket.off('data', readHead)
  socket.off('end', endedEarly)
  const rest = head.subarray(end + 4)
  if (rest.length > 0) process.stdout.write(rest)
  socket.pipe(process.stdout)
  process.stdin.pipe(socket)
}
const endedEarly = (): never => fail('the proxy hung up')
socket.on('data', readHead)
socket.on('end', endedEarly)
// ssh has gone: nobody is left to tell.
process.stdout.on('error', () => process.exit(255))
