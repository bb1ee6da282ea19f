import { expect, test } from 'vitest'
import { slackManifest } from './slack-manifest.ts'

const none = { mode: undefined, url: undefined, integration: undefined, name: undefined }

test('for Socket Mode the app needs no address, and clicks are switched on', () => {
  const manifest = slackManifest(none)
  expect(JSON.stringify(manifest)).not.toMatch(/request_url|"url"/)
  expect(manifest).toMatchObject({
    settings: { socket_mode_enabled: true, interactivity: { is_enabled: true } },
    features: { slash_commands: [{ command: '/access', should_escape: false }] },
  })
})

test('trap 6: the app may not read mail addresses', () => {
  expect(JSON.stringify(slackManifest(none))).not.toContain('email')
})

test('for HTTP Slack is told where callbacks of this integration go', () => {
  const manifest = slackManifest({ ...none, mode: 'http', url: 'https://access.example.org/', integration: 'chat' })
  expect(manifest).toMatchObject({
    settings: {
      socket_mode_enabled: false,
      interactivity: { request_url: 'https://access.example.org/v1/callbacks/chat/interactions' },
    },
    features: { slash_commands: [{ url: 'https://access.example.org/v1/callbacks/chat/commands' }] },
  })
})

test('what Slack would refuse is refused here', () => {
  expect(() => slackManifest({ ...none, mode: 'http' })).toThrow('--url=https://')
  expect(() => slackManifest({ ...none, mode: 'http', url: 'http://access.example.org' })).toThrow('--url=https://')
  expect(() => slackManifest({ ...none, name: 'x'.repeat(36) })).toThrow('35')
})
