import { z } from 'zod'
import type { CallbackAnswer, RawCallback } from '../../../contract/from-chat.ts'
import type { Frame } from './slack-socket.ts'

const Envelope = z.looseObject({
  envelope_id: z.string().min(1).max(200),
  type: z.string(),
  payload: z.looseObject({}).optional(),
  accepts_response_payload: z.boolean().optional(),
})
export type Envelope = z.infer<typeof Envelope>

/** As the limit of callbacks over HTTP */
const LONGEST_PAYLOAD = 256 * 1024

const PATHS: Readonly<Record<string, string>> = { interactive: 'interactions', slash_commands: 'commands' }

export function envelopeOf(frame: Frame): Envelope | null {
  return Envelope.safeParse(frame).data ?? null
}

/** null: nothing that a person did, or more than is taken over HTTP too. */
export function callbackOf(envelope: Envelope, integration: string): RawCallback | null {
  const path = PATHS[envelope.type]
  if (path === undefined || envelope.payload === undefined) return null
  const body = Buffer.from(JSON.stringify(envelope.payload))
  return body.length > LONGEST_PAYLOAD ? null : { integration, path, headers: {}, body, via: 'socket' }
}

/** What goes back on the socket: the same answer that HTTP would have got. */
export function acknowledge(envelope: Envelope, answer: CallbackAnswer | null): object {
  const body = answer?.status === 200 ? (answer.body ?? '') : ''
  if (body === '' || envelope.accepts_response_payload === false) return { envelope_id: envelope.envelope_id }
  return { envelope_id: envelope.envelope_id, payload: JSON.parse(body) as unknown }
}
