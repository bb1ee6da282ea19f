import { CERTIFICATE_SUFFIX, signatureAlgorithmsOf, SIGNATURE_ALGORITHMS } from '../../../formats/openssh/algorithms.ts'
import { AuthorityKeys, checkCertificate } from '../../../formats/openssh/check-certificate.ts'
import { parsePublicKey, parsePublicKeyLine, type SshPublicKey } from '../../../formats/openssh/public-key.ts'
import type { SshFacts } from '../../authorization.ts'

export type Node = SshFacts['node']

export type HostKeyVerdict =
  | { readonly ok: true; readonly key: SshPublicKey }
  | { readonly ok: false; readonly reason: string; readonly text: string }

/** What to ask the target for: only what could be accepted, a certificate rather than the pinned key. */
export function hostKeyAlgorithms(node: Node): readonly string[] {
  const certificates = node.hostAuthority === null ? [] : SIGNATURE_ALGORITHMS.map((name) => name + CERTIFICATE_SUFFIX)
  const plain = node.hostKey === null ? [] : signatureAlgorithmsOf(pinnedKey(node.hostKey).type)
  return [...certificates, ...plain]
}

/**
 * Pure. A host certificate must be signed by the node's authority and name the node; a plain key must be the pinned one.
 * A node with neither is not connected to.
 */
export function judgeHostKey(node: Node, blob: Buffer, now: number): HostKeyVerdict {
  const isCertificate =
    blob.includes(CERTIFICATE_SUFFIX, 0, 'latin1') && blob.indexOf(CERTIFICATE_SUFFIX, 0, 'latin1') < 64
  if (isCertificate) return judgeHostCertificate(node, blob, now)
  if (node.hostKey === null) return unknownKey(node)
  const pinned = pinnedKey(node.hostKey)
  if (!pinned.blob.equals(blob)) {
    const text = `the host key of ${node.name} has changed: nobody is connected until an operator has looked into it`
    return { ok: false, reason: 'host_key_changed', text }
  }
  return { ok: true, key: pinned }
}

function judgeHostCertificate(node: Node, blob: Buffer, now: number): HostKeyVerdict {
  if (node.hostAuthority === null) return unknownKey(node)
  const lines = node.hostAuthority.split('\n').filter((line) => line.trim() !== '')
  const verdict = checkCertificate(blob, {
    authorities: new AuthorityKeys(lines.map((line) => parsePublicKeyLine(line).blob)),
    kind: 'host',
    principal: { exact: node.hostPrincipal ?? node.host },
    now,
    address: null,
    enforces: [],
    isRevoked: () => false,
  })
  if (verdict.ok) return { ok: true, key: verdict.certificate.publicKey }
  const text = `the host certificate of ${node.name} is not good: ${verdict.message}`
  return { ok: false, reason: 'host_certificate_refused', text }
}

function unknownKey(node: Node): HostKeyVerdict {
  const text = `${node.name} showed a host key that nothing is known of`
  return { ok: false, reason: 'host_key_unknown', text }
}

function pinnedKey(line: string): SshPublicKey {
  return parsePublicKey(parsePublicKeyLine(line).blob)
}
