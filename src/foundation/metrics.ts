import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The daemon's own few figures, for `/metrics`. Labels come from closed lists, never from input. */
export interface Metrics {
  deed(outcome: 'stored' | 'refused', ms: number): void
  event(type: string): void
  sessionsOpen(count: number): void
  /** 0 or 1: whether the store takes deeds */
  storeWrites(works: boolean): void
  /** One attempt to send or change a message of an integration */
  delivered(vendor: string, outcome: string, ms: number): void
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
  const deliveries = new Counter({
    name: 'sallyport_deliveries_total',
    help: 'Attempts to send or change a message, by vendor and what became of it',
    labelNames: ['vendor', 'outcome'],
    registers,
  })
  const attempts = new Histogram({
    name: 'sallyport_delivery_seconds',
    help: 'Time until a vendor answered, or did not',
    labelNames: ['vendor'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
    registers,
  })
  return {
    deed(outcome, ms) {
      deeds.inc({ outcome })
      if (outcome === 'stored') latency.observe(ms / 1000)
    },
    event: (type) => events.inc({ type }),
    sessionsOpen: (count) => sessions.set(count),
    storeWrites: (works) => writes.set(works ? 1 : 0),
    delivered(vendor, outcome, ms) {
      deliveries.inc({ vendor, outcome })
      attempts.observe({ vendor }, ms / 1000)
    },
    text: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
