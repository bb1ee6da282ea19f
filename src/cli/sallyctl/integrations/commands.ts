import { defineCommand, defineGroup } from '../../shared/define-command.ts'

const slackCommands = defineGroup({
  name: 'slack',
  summary: 'Set a Slack app up',
  commands: [
    defineCommand({
      name: 'manifest',
      summary: 'Print what Slack makes the app from: https://api.slack.com/apps, Create New App, From a manifest',
      examples: [
        ['sallyctl integration slack manifest', 'for Socket Mode: the daemon needs no public address'],
        [
          'sallyctl integration slack manifest --mode=http --url=https://access.example.org --integration=slack',
          'for callbacks to the daemon, for the integration of that name',
        ],
      ],
      options: {
        mode: { kind: 'choice', choices: ['socket', 'http'], summary: 'who calls whom (default: socket)' },
        url: { kind: 'text', value: 'url', summary: 'with http: under which Slack reaches the daemon' },
        integration: { kind: 'text', value: 'name', summary: 'with http: name of the integration (default: slack)' },
        name: { kind: 'text', value: 'text', summary: 'name of the app and its bot (default: Sallyport)' },
      },
      run: async (context, input) => (await import('./slack-manifest.ts')).printSlackManifest(context, input.options),
    }),
  ],
})

export const integrationCommands = defineGroup({
  name: 'integration',
  summary: 'What connects Sallyport with chat and ticket products; documents: sallyctl create -f, get, edit, rm',
  commands: [slackCommands],
})
