import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The daemon's own few figures, for `/metrics`. Labels come from closed lists, never from input. */
export interface Metrics {
  deed(outcome: 'stored' | 'refused', ms: number): void
  event(type: string): void
  sessionsOpen(count: number): void
  /** 0 or 1: whether the store takes deeds */
  storeWrites(works: boolean): void
  text(): Promise<{ readonly contentType: string; readonly text: string }>
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const deeds = new Counter({
    name: 'sallyport_deeds_total',
    help: 'State changes by outcome',
    labelNames: ['outcome'],
    registers,
  })
  const latency = new Histogram({
    name: 'sallyport_deed_seconds',
    help: 'Time from the begin of a deed to its synced commit',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  })
  const events = new Counter({
    name: 'sallyport_audit_events_total',
    help: 'Audit events by type',
    labelNames: ['type'],
    registers,
  })
  const sessions = new Gauge({ name: 'sallyport_sessions_open', help: 'Proxied connections that are open', registers })
  const writes = new Gauge({ name: 'sallyport_store_writes', help: '1 while the store takes deeds', registers })
  return {
    deed(outcome, ms) {
      deeds.inc({ outcome })
      if (outcome === 'stored') latency.observe(ms / 1000)
    },
    event: (type) => events.inc({ type }),
    sessionsOpen: (count) => sessions.set(count),
    storeWrites: (works) => writes.set(works ? 1 : 0),
    text: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
