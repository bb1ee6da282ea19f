// Debian's OpenSSH has no ML-KEM yet. russh has (Rust, with a KEM of its own), and shares no line with ours or with OpenSSL.
import { SSHClient, SshTransport } from 'russh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab
beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab?.stop())

test.each(['mlkem768x25519-sha256', 'curve25519-sha256'])(
  'a client that knows %s alone agrees on keys and is answered under them',
  async (kex) => {
    const shown: string[] = []
    const transport = await SshTransport.newSocket(`127.0.0.1:${String(lab.port)}`)
    const look = async (key: { fingerprint(): string }): Promise<boolean> => {
      shown.push(key.fingerprint())
      return true
    }
    const client = await SSHClient.connect(transport, look, { preferred: { kex: [kex] } })
    // The host's signature over the exchange, whose hash holds the secret, was verified before it was shown.
    expect(shown).toHaveLength(1)
    const answer = await client.authenticateNone('box')
    expect('remainingMethods' in answer && answer.remainingMethods).toEqual(['publickey'])
    await client.disconnect()
  },
)
