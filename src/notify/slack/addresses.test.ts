import { describe, expect, test } from 'vitest'
import { SLACK_API } from '../../contract/vendors/slack.ts'
import { isResponseUrl } from './answer-callback.ts'
import { pauseAfter } from './socket/pause-after.ts'
import { socketAddress } from './socket/socket-address.ts'

const GOV = 'https://slack-gov.com/api/'
const HERE = 'http://127.0.0.1:4000/api/'

describe('addresses out of what Slack sends', () => {
  test.each([
    ['https://hooks.slack.com/actions/T0/1/x', SLACK_API, true],
    ['https://hooks.slack-gov.com/actions/T0/1/x', GOV, true],
    ['http://127.0.0.1:4000/actions/x', HERE, true],
    ['http://hooks.slack.com/actions/T0/1/x', SLACK_API, false],
    ['https://hooks.slack.com.evil.example/x', SLACK_API, false],
    ['https://hooks.slack.com@evil.example/x', SLACK_API, false],
    ['https://user@hooks.slack.com/x', SLACK_API, false],
    ['https://hooks.slack.com:8443/x', SLACK_API, false],
    ['https://evil.slack.com/x', SLACK_API, false],
    ['https://hooks.slack.com/x', GOV, false],
    ['http://127.0.0.1:4001/x', HERE, false],
    ['http://169.254.169.254/latest', SLACK_API, false],
    // oxlint-disable-next-line no-script-url -- what must be refused
    ['javascript:alert(1)', SLACK_API, false],
    ['', SLACK_API, false],
  ])('trap 19: answering a click at %j beside %s: %s', (text, api, good) => {
    expect(isResponseUrl(text, api)).toBe(good)
  })

  test.each([
    ['wss://wss-primary.slack.com/link/?ticket=1', SLACK_API, true],
    ['wss://slack.com/link', SLACK_API, true],
    ['wss://wss.slack-gov.com/link', GOV, true],
    ['ws://127.0.0.1:4000/link', HERE, true],
    ['ws://wss-primary.slack.com/link', SLACK_API, false],
    ['wss://evilslack.com/link', SLACK_API, false],
    ['wss://slack.com.evil.example/link', SLACK_API, false],
    ['wss://slack.com@evil.example/link', SLACK_API, false],
    ['https://wss-primary.slack.com/link', SLACK_API, false],
    ['wss://169.254.169.254/link', SLACK_API, false],
    [`wss://slack.com/${'x'.repeat(3000)}`, SLACK_API, false],
    [undefined, SLACK_API, false],
    [42, SLACK_API, false],
  ])('trap 19: a socket at %j beside %s: %s', (text, api, good) => {
    expect(socketAddress(text, api) !== null).toBe(good)
  })
})

test('pauses between tries grow, are spread, and have an end', () => {
  for (const [kind, longest] of [
    ['network', 60_000],
    ['operator', 600_000],
  ] as const)
    for (let failures = 1; failures < 200; failures++) {
      const ms = pauseAfter(kind, failures)
      expect(ms).toBeGreaterThan(0)
      expect(ms).toBeLessThanOrEqual(longest)
      if (failures > 20) expect(ms).toBeGreaterThanOrEqual(longest * 0.7)
    }
})
