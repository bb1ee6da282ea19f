import { ApiError } from '../../../contract/api-error.ts'
import { PlayedRecord } from '../../../contract/recording.ts'
import type { CommandContext } from '../../shared/command-context.ts'
import { CommandFailed } from '../../shared/command-failed.ts'
import { readDuration } from '../../shared/read-options.ts'
import { DEFAULT_PLAY, type PlayOptions } from '../play/play-options.ts'
import { playSession } from '../play/play-session.ts'
import { processOutput } from '../play/process-output.ts'

export interface PlayFlags {
  readonly speed: string | undefined
  readonly skipIdle: boolean
  readonly maxIdle: string | undefined
  readonly realTime: boolean
  readonly format: PlayOptions['format'] | undefined
}

export async function playRecording(context: CommandContext, session: string, flags: PlayFlags): Promise<void> {
  const options = playOptions(flags)
  const api = await context.dial.signedIn(context)
  const { clock, interrupted } = context.terminal
  const lines = api.playSession({ params: { id: session }, signal: interrupted })
  const output = (await context.playOutput?.()) ?? processOutput()
  await playSession(checked(lines), options, output, { clock, signal: interrupted })
}

function playOptions(flags: PlayFlags): PlayOptions {
  if (flags.realTime && (flags.skipIdle || flags.maxIdle !== undefined))
    throw new CommandFailed('usage', '--real-time keeps the pauses that --skip-idle and --max-idle cut')
  return {
    format: flags.format ?? DEFAULT_PLAY.format,
    speed: readSpeed(flags.speed),
    skipIdle: !flags.realTime,
    maxIdleMs: readDuration(flags.maxIdle) ?? DEFAULT_PLAY.maxIdleMs,
  }
}

function readSpeed(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PLAY.speed
  const speed = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (speed < 0.1 || speed > 1000) throw new CommandFailed('usage', '--speed is a number from 0.1 to 1000')
  return speed
}

async function* checked(lines: AsyncIterable<unknown>): AsyncGenerator<PlayedRecord> {
  for await (const line of lines) {
    const record = PlayedRecord.safeParse(line)
    if (!record.success)
      throw new ApiError('bad_answer', 'the recording holds a record of a kind unknown to this version')
    yield record.data
  }
}
