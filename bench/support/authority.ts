// X.509 for the peers' own TLS, by openssl: P-256 as ours.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { TempFolder } from '../../test/support/temp-folder.ts'

export interface PeerAuthority {
  /** PEM file */
  readonly file: string
  /** Writes NAME.crt and NAME.key into the folder. */
  issue(name: string, subject: string, alternative: string): { readonly certificate: string; readonly key: string }
}

export function peerAuthority(folder: TempFolder): PeerAuthority {
  const openssl = (...args: readonly string[]): void =>
    void execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const newKey = (file: string): void => openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file)
  const [key, file] = [folder.file('authority.key'), folder.file('authority.crt')]
  newKey(key)
  openssl('req', '-x509', '-new', '-key', key, '-subj', '/CN=bench', '-days', '2', '-out', file)
  return {
    file,
    issue(name, subject, alternative) {
      const [own, request, certificate, extensions] = ['key', 'csr', 'crt', 'ext'].map((end) =>
        folder.file(`${name}.${end}`),
      ) as [string, string, string, string]
      newKey(own)
      writeFileSync(extensions, `subjectAltName=${alternative}\n`)
      openssl('req', '-new', '-key', own, '-subj', `/CN=${subject}`, '-out', request)
      const signed = ['-CA', file, '-CAkey', key, '-CAcreateserial', '-days', '2', '-extfile', extensions]
      openssl('x509', '-req', '-in', request, ...signed, '-out', certificate)
      return { certificate, key: own }
    },
  }
}
