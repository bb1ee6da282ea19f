// How the control plane's calls cross from worker to control process: structured clone over one message port.
// call:   {id, method, input}      answer: {id, ok: true, value} | {id, ok: false, message, code}
// notice: {notice: EndNotice}      news: {door, news: RequestNews}
// settings: {settings}      beat: {beat: n}      stop: {stop: text}

import type {
  AskInput,
  AuthorizeInput,
  ControlPlane,
  EndNotice,
  MintInput,
  RecordingHead,
  RequestNews,
  SessionEnd,
  SessionRecordEvent,
  WorkerSettings,
} from './control-plane.ts'

export interface CallInputs {
  authorize: AuthorizeInput
  ask: AskInput
  watchRequest: { door: string }
  unwatchRequest: { door: string }
  mint: MintInput
  startUse: { sessionId: string }
  append: { sessionId: string; event: SessionRecordEvent }
  endSession: { sessionId: string; end: SessionEnd }
  watchEnd: { sessionId: string }
  unwatchEnd: { sessionId: string }
  reportHeads: { heads: ReadonlyMap<string, RecordingHead> }
  reportAuthFailure: { address: string; code: string }
}
export type CallName = keyof CallInputs

export interface Listen {
  /** The one port */
  readonly shared: { readonly host: string; readonly port: number }
  /** null: none */
  readonly mysql: { readonly host: string; readonly port: number } | null
}

export interface Ports {
  readonly shared: number
  readonly mysql: number | null
}

export type ToControl =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly ports: Ports }
  /** A client cancels by a key that this worker did not give out: `cancelled` tells that another worker has */
  | { readonly kind: 'cancel'; readonly id: number; readonly digest: string }
  /**
   * It is of this worker. `from`: the worker that asked, 0: another daemon. `said`: 0 when the server has been told, or its id
   * of the thread that is to be stopped.
   */
  | { readonly kind: 'cancelled'; readonly id: number; readonly from: number; readonly said: number }
  | {
      [K in CallName]: { readonly kind: 'call'; readonly id: number; readonly method: K; readonly input: CallInputs[K] }
    }[CallName]

export type ToWorker =
  | {
      readonly kind: 'settings'
      readonly settings: WorkerSettings
      readonly listen: Listen
    }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: false; readonly message: string }
  | { readonly kind: 'notice'; readonly notice: EndNotice }
  | { readonly kind: 'news'; readonly door: string; readonly news: RequestNews }
  | { readonly kind: 'beat' }
  | { readonly kind: 'cancel'; readonly id: number; readonly from: number; readonly digest: string }
  | { readonly kind: 'cancelled'; readonly id: number; readonly said: number }
  /** Take no more sessions, tell the live ones, end them within the grace. */
  | { readonly kind: 'stop'; readonly text: string; readonly graceMs: number }

/** One end of a channel that clones what it carries. */
export interface Port<Out, In> {
  send(message: Out): void
  onMessage(handler: (message: In) => void): void
  onClose(handler: () => void): void
}

/** Answers a worker's calls with the real control plane. */
export function serveControlPlane(
  port: Port<ToWorker, ToControl>,
  control: ControlPlane,
): { sessions(): readonly string[] } {
  const watches = new Map<string, { stop(): void }>()
  const doors = new Map<string, { stop(): void }>()
  const answer = async (id: number, work: () => Promise<unknown>): Promise<void> => {
    try {
      port.send({ kind: 'answer', id, ok: true, value: await work() })
    } catch (error) {
      port.send({ kind: 'answer', id, ok: false, message: error instanceof Error ? error.message : 'failed' })
    }
  }
  const run = (message: Extract<ToControl, { kind: 'call' }>): Promise<unknown> => {
    switch (message.method) {
      case 'authorize':
        return control.authorize(message.input)
      case 'ask':
        return control.ask(message.input)
      case 'watchRequest': {
        const { door } = message.input
        doors.get(door)?.stop()
        doors.set(
          door,
          control.watchRequest(door, (news) => port.send({ kind: 'news', door, news })),
        )
        return Promise.resolve(null)
      }
      case 'unwatchRequest':
        doors.get(message.input.door)?.stop()
        doors.delete(message.input.door)
        return Promise.resolve(null)
      case 'mint':
        return control.mint(message.input)
      case 'startUse':
        return control.startUse(message.input.sessionId)
      case 'append':
        return control.append(message.input.sessionId, message.input.event)
      case 'endSession':
        return control.endSession(message.input.sessionId, message.input.end)
      case 'watchEnd': {
        const { sessionId } = message.input
        watches.get(sessionId)?.stop()
        watches.set(
          sessionId,
          control.watchEnd(sessionId, (notice) => port.send({ kind: 'notice', notice })),
        )
        return Promise.resolve(null)
      }
      case 'unwatchEnd':
        watches.get(message.input.sessionId)?.stop()
        watches.delete(message.input.sessionId)
        return Promise.resolve(null)
      case 'reportHeads':
        control.reportHeads(message.input.heads)
        return Promise.resolve(null)
      case 'reportAuthFailure':
        control.reportAuthFailure(message.input)
        return Promise.resolve(null)
    }
  }
  port.onMessage((message) => {
    if (message.kind === 'call') void answer(message.id, () => run(message))
  })
  port.onClose(() => {
    for (const watch of [...watches.values(), ...doors.values()]) watch.stop()
    watches.clear()
    doors.clear()
  })
  return { sessions: () => [...watches.keys()] }
}
