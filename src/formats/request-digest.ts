import { hash } from 'node:crypto'
import { canonicalJson } from './canonical-json.ts'

// What a vote binds to. SHA-256 over `domain\n` and canonical JSON, lowercase hex. The domains keep the two digests (and
// anything else that is ever hashed) apart: bytes of one can never be taken for the other.

const REQUEST_DOMAIN = 'sallyport request digest v1'
const FACTS_DOMAIN = 'sallyport facts digest v1'
const IDENTITY_DOMAIN = 'sallyport request identity v1'

/** Fixed when the request is made; nothing in it ever changes. Lists are sorted by id. */
export interface RequestContent {
  readonly installation: string
  readonly id: string
  readonly kind: 'role' | 'resource' | 'extension' | 'break_glass'
  readonly requesterId: string
  readonly roles: readonly { readonly id: string; readonly revision: number; readonly contentHash: string }[]
  readonly resources: readonly { readonly kind: string; readonly id: string }[]
  /** Login, database user ... that the request is narrowed to; null = none */
  readonly narrowing: Readonly<Record<string, string>> | null
  readonly reason: string
  readonly annotations: Readonly<Record<string, readonly string[]>>
  readonly durationMs: number
  /** When the clock starts */
  readonly start: { readonly at: 'approval' | 'first-use' } | { readonly at: 'instant'; readonly instant: number }
  readonly pendingUntil: number
  /** Grant that it would extend */
  readonly extends: string | null
}

/** What decides about the request at the moment: changes whenever rules or role contents change. */
export interface FactsContent {
  readonly roles: readonly {
    readonly id: string
    readonly contentHash: string
    readonly requestable: boolean
    readonly capMs: number
    readonly sets: readonly unknown[]
  }[]
  /** Absent when none is requested */
  readonly resources?: readonly {
    readonly kind: string
    readonly id: string
    /** What it is at the moment; null = it was removed */
    readonly now: { readonly labels: Readonly<Record<string, string>>; readonly identity: string } | null
    /** Roles that give it at the moment */
    readonly roleIds: readonly string[]
  }[]
  readonly rules: readonly { readonly id: string; readonly contentHash: string }[]
  readonly policies: readonly { readonly file: string; readonly contentHash: string }[]
}

export function requestDigest(content: RequestContent): string {
  return domainHash(REQUEST_DOMAIN, { ...content, roles: byId(content.roles), resources: byId(content.resources) })
}

export function factsDigest(content: FactsContent): string {
  const { resources } = content
  const sorted = resources ? { resources: byId(resources) } : {}
  return domainHash(FACTS_DOMAIN, { ...content, roles: byId(content.roles), ...sorted })
}

/** Equal for requests that ask for the same in the same words: finds an identical pending one. */
export function requestIdentity(
  content: Pick<
    RequestContent,
    'requesterId' | 'resources' | 'narrowing' | 'reason' | 'durationMs' | 'start' | 'extends'
  > & {
    readonly roleIds: readonly string[]
  },
): string {
  const { requesterId, resources, narrowing, reason, durationMs, start, roleIds } = content
  const roles = [...roleIds].sort()
  const asked = {
    requesterId,
    resources: byId(resources),
    narrowing,
    reason,
    durationMs,
    start,
    extends: content.extends,
  }
  return domainHash(IDENTITY_DOMAIN, { ...asked, roles })
}

function byId<T extends { readonly id: string }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

function domainHash(domain: string, value: unknown): string {
  return hash('sha256', `${domain}\n${canonicalJson(value)}`)
}
