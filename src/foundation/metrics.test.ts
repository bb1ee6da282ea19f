import { expect, it } from 'vitest'
import { createMetrics } from './metrics.ts'

it('figures are told in the Prometheus text format, each registry on its own', async () => {
  const metrics = createMetrics()
  createMetrics()
  metrics.deed('stored', 4)
  metrics.deed('refused', 1)
  metrics.event('lock.create')
  metrics.sessionsOpen(3)
  metrics.storeWrites(false)
  const { contentType, text } = await metrics.text()
  expect(contentType).toContain('text/plain')
  for (const line of [
    'sallyport_deeds_total{outcome="stored"} 1',
    'sallyport_deeds_total{outcome="refused"} 1',
    'sallyport_deed_seconds_bucket{le="0.005"} 1',
    'sallyport_deed_seconds_count 1',
    'sallyport_audit_events_total{type="lock.create"} 1',
    'sallyport_sessions_open 3',
    'sallyport_store_writes 0',
  ]) {
    expect(text).toContain(`${line}\n`)
  }
})
