// A token that Slack refuses, while the daemon runs and after it started.
import { expect, test } from 'vitest'
import { startSallyport } from '../support/sallyport.ts'
import { FakeSlack } from '../support/slack/fake-slack.ts'
import { until } from '../support/until.ts'

test('trap 26: a token refused at a reconnection leaves the daemon up and the integration broken; a new token mends it', async () => {
  await using sallyport = await startSallyport()
  const slack = await FakeSlack.start({ mode: 'socket' })
  try {
    const document = (appToken: string): unknown => ({
      kind: 'integration',
      metadata: { name: 'slack' },
      spec: {
        vendor: 'slack',
        mode: 'socket',
        team_id: slack.teamId,
        app_id: slack.appId,
        api_url: slack.apiUrl,
        allow_networks: ['127.0.0.0/8'],
        secrets: { bot_token: slack.botToken, app_token: appToken },
      },
    })
    const status = async (): Promise<string> => (await sallyport.admin('integration', 'status')).stdout
    await sallyport.document(document(slack.appToken))
    await until('the socket', () => slack.sockets.count === 1)
    expect(await status()).not.toContain('invalid_auth')

    slack.api.plan('apps.connections.open', ...Array<string>(50).fill('invalid_auth'))
    slack.sockets.cutAll()
    await until('the integration to be broken', async () => (await status()).includes('invalid_auth'))
    expect((await sallyport.admin('status')).code).toBe(0)
    await sallyport.restart()
    expect(await status()).toContain('invalid_auth')

    slack.api.forget('apps.connections.open')
    await sallyport.document(document(slack.appToken))
    await until('the socket', () => slack.sockets.count === 1)
    await until('the integration to be whole', async () => !(await status()).includes('invalid_auth'))
    expect(sallyport.logText()).not.toMatch(/xapp-|xoxb-/)
  } finally {
    await slack.stop()
  }
})
