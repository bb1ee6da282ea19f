import { SERVICE_SCOPES } from '../../../contract/service-token.ts'
import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const tokenCommands = defineGroup({
  name: 'tokens',
  summary: 'Tokens of service accounts: what programs of your own sign in with',
  commands: [
    defineCommand({
      name: 'add',
      summary: 'Make a token, and its service account where there is none of that name; it is shown once',
      examples: [
        [
          'sallyctl tokens add rules-bot --owner=ada --roles=bot-reviewer --scope=requests:read,requests:review',
          'a bot that votes as rules-bot, never on requests of ada',
        ],
        ['sallyctl tokens add rules-bot --scope=requests:read --ttl=7d > token', 'one more, for a script'],
      ],
      arguments: { name: { summary: 'name of the service account' } },
      options: {
        socket,
        scope: {
          kind: 'list',
          value: 'a,b',
          summary: `what it may be used for: ${SERVICE_SCOPES.join(', ')}`,
          required: true,
        },
        owner: { kind: 'text', value: 'user', summary: 'who answers for the account (default: you)' },
        roles: { kind: 'list', value: 'a,b', summary: 'own roles of a new account: they say what it may review' },
        trait: { kind: 'list', value: 'name=value', summary: 'traits of a new account' },
        ttl: { kind: 'text', value: 'length', summary: 'how long it is good for (default: 90d; at most 366d)' },
        note: { kind: 'text', value: 'text', summary: 'what it is for' },
      },
      run: async (context, input) =>
        (await import('./tokens.ts')).addToken(context, input.arguments.name, input.options),
    }),
    defineCommand({
      name: 'ls',
      summary: 'List tokens',
      examples: [['sallyctl tokens ls', 'accounts, owners, scopes, last use and end']],
      options: { socket },
      run: async (context) => (await import('./tokens.ts')).listTokens(context),
    }),
    defineCommand({
      name: 'rm',
      summary: 'Take a token away; calls that wait with it end at once',
      examples: [['sallyctl tokens rm tok_...', 'its account and its other tokens stay']],
      arguments: { id: { summary: 'id of the token' } },
      options: { socket },
      run: async (context, input) => (await import('./tokens.ts')).removeToken(context, input.arguments.id),
    }),
  ],
})
