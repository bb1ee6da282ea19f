// Stands where `ssh` or a server would be: runs the server argv[3..] as a relay would, watches both directions, and appends what
// the observer tells to the file argv[2], one JSON line each. With `scp` as server the last argument is the remote command.
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import type { RecordingEntry } from '../../../src/formats/recording-record.ts'
import { scpCommand } from '../../../src/connection/relay/ssh/observe/scp-command.ts'
import { ScpObserver } from '../../../src/connection/relay/ssh/observe/scp-observer.ts'
import { SftpObserver } from '../../../src/connection/relay/ssh/observe/sftp-observer.ts'

const [, , log = '', server = '', ...rest] = process.argv
const emit = (entry: RecordingEntry): void => appendFileSync(log, `${JSON.stringify(entry)}\n`)
const channel = { channel: 0, recordInput: false }
const remote = rest.at(-1) ?? ''
const command = server === 'scp' ? scpCommand(remote) : null
const observer = command === null ? new SftpObserver(channel, emit) : new ScpObserver(channel, command, emit)
const [program, args] = server === 'scp' ? ['sh', ['-c', remote]] : [server, []]
const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })

process.stdin.on('data', (bytes: Buffer) => {
  observer.fromClient(bytes)
  child.stdin.write(bytes)
})
process.stdin.on('end', () => child.stdin.end())
child.stdin.on('error', () => {})
child.stdout.on('data', (bytes: Buffer) => {
  observer.fromTarget(bytes, 'stdout')
  process.stdout.write(bytes)
})
child.on('close', (code) => {
  observer.end()
  process.exitCode = code ?? 1
  process.stdin.destroy()
})
