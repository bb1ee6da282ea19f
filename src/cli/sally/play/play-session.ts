import type { PlayedRecord } from '../../../contract/recording.ts'
import { escapeInQuotes } from '../../shared/harmless.ts'
import type { PlayOptions, PlayOutput, PlayTask } from './play-options.ts'
import { Pace } from './pace.ts'
import { replay } from './replay.ts'
import { toAsciicast } from './to-asciicast.ts'

/**
 * Plays records on `output`: as a film on a terminal, at once into anything else, or as JSON or asciicast lines.
 * `left`: somebody pressed q. Errors: whatever `records` throws; the signal's reason.
 */
export async function playSession(
  records: AsyncIterable<PlayedRecord>,
  options: PlayOptions,
  output: PlayOutput,
  task: PlayTask,
): Promise<'ended' | 'left'> {
  if (options.format === 'json') {
    for await (const record of records) await writeLine(output, escapeInQuotes(JSON.stringify(record)), task)
    return 'ended'
  }
  if (options.format === 'asciicast') {
    for await (const line of toAsciicast(records)) await writeLine(output, line, task)
    return 'ended'
  }
  return await playFilm(records, options, output, task)
}

async function playFilm(
  records: AsyncIterable<PlayedRecord>,
  options: PlayOptions,
  output: PlayOutput,
  task: PlayTask,
): Promise<'ended' | 'left'> {
  const pace = new Pace(options.speed, task.clock, task.signal)
  const stop = output.onKey?.((key) => pace.press(key))
  let isRestored = true
  const scenes = replay(records, options, output.size)
  try {
    for await (const { wait, bytes } of scenes) {
      if (output.size !== null) await pace.wait(wait)
      if (pace.left) break
      task.signal.throwIfAborted()
      isRestored = false
      await output.write(bytes)
    }
    isRestored = !pace.left
  } finally {
    stop?.()
    // Left in the middle: the recorded program had no chance to leave its screen.
    if (!isRestored && output.size !== null)
      await output.write(Buffer.from('\x1b[?1049l\x1b[m\x1b[r\x1b(B\x0f\x1b[?25h\x1b[?7h\r\n'))
  }
  return pace.left ? 'left' : 'ended'
}

async function writeLine(output: PlayOutput, line: string, task: PlayTask): Promise<void> {
  task.signal.throwIfAborted()
  await output.write(Buffer.from(`${line}\n`))
}
