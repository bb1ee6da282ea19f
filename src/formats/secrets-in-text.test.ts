import { describe, expect, test } from 'vitest'
import { maskSecrets, secretsIn } from './secrets-in-text.ts'

// Put together here, so that no scanner takes this file for a leak.
const PEM = ['-----BEGIN RSA PRIVATE', 'KEY-----\nMIIEow\n-----END RSA PRIVATE', 'KEY-----'].join(' ')
const SECRETS: readonly (readonly [string, string])[] = [
  ['an AWS access key', `AKIA${'IOSFODNN7EXAMPLE'}`],
  ['a GitHub token', `ghp_${'a1B2'.repeat(9)}`],
  ['a GitHub token', `github_pat_${'11ABC'.repeat(8)}`],
  ['a GitLab token', `glpat-${'x'.repeat(20)}`],
  ['a Slack token', `xoxb-${'1234567890-abcdef'}`],
  ['a Slack token', `xapp-1-${'A0123-456-abcdef'}`],
  ['a private key', PEM],
  ['a private key', PEM.slice(0, 50)],
  ['a token (JWT)', `eyJ${'hbGciOiJIUzI1NiJ9'}.eyJzdWIiOiIxIn0.${'c2ln'.repeat(8)}`],
  ['a webhook secret', `whsec_${'QUJD'.repeat(8)}`],
]

describe('trap 21: secrets in reasons', () => {
  test.each(SECRETS)('%s is named and masked wherever it stands: %s', (what, secret) => {
    for (const text of [secret, `please ${secret} now`, `(${secret})`, `key="${secret}"`, `a\n${secret}\nb`]) {
      expect(secretsIn(text)).toContain(what)
      const masked = maskSecrets(text)
      expect(masked).toContain('[secret removed]')
      expect(masked).not.toContain(secret.slice(5, 25))
    }
  })

  test.each([
    ['password=hunter2', 'password=[secret removed]'],
    ['DB_PASSWORD="a b c" psql', 'DB_PASSWORD=[secret removed] psql'],
    ['password: correct-horse', 'password: [secret removed]'],
    ['api_key = 12345, next', 'api_key = [secret removed], next'],
    ['postgres://app:s3cret@db/prod', 'postgres://app:[secret removed]@db/prod'],
    ['Authorization: Bearer abcdefghijklmnop1234', 'Authorization: Bearer [secret removed]'],
  ])('%s becomes %s', (text, masked) => {
    expect(maskSecrets(text)).toBe(masked)
  })

  test.each([
    'rotate the password of the billing user',
    'INC-4711: token service is down',
    'see https://wiki.example/passwords:how-to and call me',
    'secret santa list is broken',
    'AKIA is the prefix of keys',
  ])('plain words stay: %s', (text) => {
    expect(maskSecrets(text)).toBe(text)
    expect(secretsIn(text)).toEqual([])
  })

  test('masking again changes nothing, and long hostile texts take linear time', () => {
    for (const [, secret] of SECRETS) expect(maskSecrets(maskSecrets(secret))).toBe(maskSecrets(secret))
    const before = process.cpuUsage().user
    for (const piece of ['-----BEGIN PRIVATE KEY-----', 'password=', 'eyJaaaaaa.', '://a:', 'bearer '])
      maskSecrets(piece.repeat(Math.ceil(4096 / piece.length)))
    expect(process.cpuUsage().user - before).toBeLessThan(2_000_000)
  })
})
