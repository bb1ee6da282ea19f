import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { detailsHash, type Envelope, GENESIS, leafHash, nextHead, rowHash } from './audit-chain.ts'

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')
const envelope: Envelope = {
  seq: 1,
  id: 'evt_1',
  time: 1_800_000_000_000,
  type: 'lock.create',
  actor_json: '{"id":null,"kind":"local-admin","name":"local-admin"}',
  user_id: null,
  login_id: null,
  request_id: 'req_1',
  grant_ids_json: '[]',
  session_id: null,
  resource_json: null,
  resource_key: null,
  outcome: 'success',
  rows_json: '[]',
  details_hash: 'd'.repeat(64),
}

describe('the audit chain', () => {
  // These vectors must never change: logs of earlier versions are verified with them.
  it('hashes leaf, head, details and rows as its layout says, in every version', () => {
    expect(GENESIS).toBe(sha256('sallyport audit genesis v1\n'))
    expect(detailsHash('ab', '{}')).toBe(sha256('sallyport audit details v1\nab\n{}'))
    expect(leafHash(envelope)).toBe(
      sha256(
        `sallyport audit leaf v1\n[1,"evt_1",1800000000000,"lock.create","{\\"id\\":null,\\"kind\\":\\"local-admin\\",\\"name\\":\\"local-admin\\"}",null,null,"req_1","[]",null,null,null,"success","[]","${'d'.repeat(64)}"]`,
      ),
    )
    expect(leafHash(envelope)).toBe('472d3376f0b36364dd72beff6b0f4f259e4e91adfa7036bc5f7ce1b7e6511291')
    expect(nextHead(GENESIS, leafHash(envelope))).toBe(
      sha256(`sallyport audit head v1\n${GENESIS}\n${leafHash(envelope)}`),
    )
    expect(rowHash('locks', { id: 'l', event_id: 'e', message: 'é', removed_at: null, created_at: 5 })).toBe(
      sha256('sallyport audit row v1\nlocks\n{"created_at":5,"id":"l","message":"é"}'),
    )
  })

  it('gives another leaf for another value of any field', () => {
    const leaf = leafHash(envelope)
    for (const field of Object.keys(envelope) as (keyof Envelope)[]) {
      const value = envelope[field]
      for (const other of [typeof value === 'number' ? value + 1 : `${String(value)}x`, null, String(value)]) {
        if (other === value) continue
        expect(leafHash({ ...envelope, [field]: other }), `${field} ${String(other)}`).not.toBe(leaf)
      }
    }
  })

  it('does not see who bound a row, nor columns that a later schema added and nobody set', () => {
    const hash = rowHash('locks', { id: 'l', event_id: 'e' })
    expect(rowHash('locks', { id: 'l', event_id: 'f' })).toBe(hash)
    expect(rowHash('locks', { id: 'l', event_id: 'e', later: null })).toBe(hash)
    expect(rowHash('locks', { id: 'l', event_id: 'e', later: 0 })).not.toBe(hash)
    expect(rowHash('users', { id: 'l', event_id: 'e' })).not.toBe(hash)
  })

  it('keeps the kinds of digest apart', () => {
    const all = [detailsHash('a', 'b'), nextHead('a', 'b'), sha256('a\nb')]
    expect(new Set(all).size).toBe(all.length)
  })
})
