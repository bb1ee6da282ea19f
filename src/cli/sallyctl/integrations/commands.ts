import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

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

const name = { summary: 'name of the integration' } as const

const operatorCommands = [
  defineCommand({
    name: 'ls',
    summary: 'List integrations and how they stand',
    examples: [['sallyctl integration ls', 'what waits, what was given up, when something was last delivered']],
    options: { socket },
    run: async (context) => (await import('./integration-status.ts')).listIntegrations(context),
  }),
  defineCommand({
    name: 'status',
    summary: 'Show how they stand, with every message that was given up, why, and what helps',
    examples: [['sallyctl integration status slack', 'of one of them']],
    arguments: { name: { ...name, optional: true } },
    options: { socket },
    run: async (context, input) => (await import('./integration-status.ts')).showStatus(context, input.arguments.name),
  }),
  defineCommand({
    name: 'retry',
    summary: 'Send again what was given up, in its newest state; a broken integration is tried anew',
    examples: [
      ['sallyctl integration retry slack', 'everything of it'],
      ['sallyctl integration retry slack --message=msg_...', 'one message'],
    ],
    arguments: { name },
    options: { socket, message: { kind: 'text', value: 'id', summary: 'one message alone' } },
    run: async (context, input) =>
      (await import('./integration-status.ts')).retry(context, input.arguments.name, input.options.message),
  }),
  defineCommand({
    name: 'check',
    summary: 'Ask the vendor whether the credentials work and the channels are there; nobody sees anything of it',
    examples: [['sallyctl integration check slack', 'exit code 1 when something is wrong']],
    arguments: { name },
    options: { socket },
    run: async (context, input) => (await import('./integration-status.ts')).check(context, input.arguments.name),
  }),
  defineCommand({
    name: 'test',
    summary: 'Send a message that says it is a test, and wait for what comes of it',
    examples: [
      ['sallyctl integration test slack', 'to every channel that its document names; exit code 1 when one fails'],
      ['sallyctl integration test mail --user=alice', 'to one person'],
      ['sallyctl integration test slack --channel=C0123ABCD', 'to a channel before it is in the document'],
    ],
    arguments: { name },
    options: {
      socket,
      channel: { kind: 'text', value: 'id', summary: "the vendor's id of a channel, or a mail address" },
      user: { kind: 'text', value: 'name', summary: 'somebody with a linked account or a mail address' },
    },
    run: async (context, input) =>
      (await import('./test-integration.ts')).testIntegration(context, input.arguments.name, input.options),
  }),
  defineCommand({
    name: 'preview',
    summary: 'Show whom a request for a role would reach, where and when',
    examples: [['sallyctl integration preview dba --user=alice', 'if alice asked for dba now']],
    arguments: { role: { summary: 'name of the role' } },
    options: { socket, user: { kind: 'text', value: 'name', summary: 'who would ask' } },
    run: async (context, input) =>
      (await import('./integration-status.ts')).preview(context, input.arguments.role, input.options.user),
  }),
]

export const integrationCommands = defineGroup({
  name: 'integration',
  summary: 'What connects Sallyport with chat and ticket products; documents: sallyctl create -f, get, edit, rm',
  commands: [...operatorCommands, slackCommands],
})
