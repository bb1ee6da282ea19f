// Writes numbered records of growing size into the file argv[2] and says each number on stdout once `write` has taken it.
import { writeSync } from 'node:fs'
import { systemClock } from '../../../src/foundation/clock.ts'
import { RecordingWriter } from '../../../src/recording/recording-writer.ts'
import { KEY, META } from './played.ts'

const writer = RecordingWriter.create({ path: process.argv[2] ?? '', keyId: 'key-1', key: KEY, mode: 'strict' }, META, {
  clock: systemClock,
  onFailure: () => process.exit(3),
})
const packet = Buffer.alloc(60_000, 'x')
for (let n = 0; ; n++) {
  const text = `${n} `
  packet.write(text)
  const bytes = packet.subarray(0, text.length + ((n * 7919) % 50_000))
  void writer.write({ kind: 'output', channel: 0, stream: 'stdout', bytes })
  // As the relay does: the packet is encrypted in place and goes out.
  packet.fill(0xee, 0, bytes.length)
  writeSync(1, `${n}\n`)
}
