import { defineCommand, defineGroup } from '../../shared/define-command.ts'

export const chatCommands = defineGroup({
  name: 'chat',
  summary: 'Link your accounts at Slack, Mattermost, Jira and the like with yourself, and part them',
  commands: [
    defineCommand({
      name: 'link',
      summary: 'Link the account that was shown this code; what it does in chat is then done as you',
      examples: [
        ['sally chat link k3xm-9qpa-7t2w', 'shows whose account it is, and asks'],
        ['sally chat link k3xm-9qpa-7t2w --yes', 'without asking'],
      ],
      arguments: { code: { summary: 'as "/access link" shows it, within ten minutes' } },
      options: { yes: { kind: 'switch', summary: 'do not ask' } },
      run: async (context, input) =>
        (await import('./chat-accounts.ts')).linkAccount(context, input.arguments.code, input.options.yes),
    }),
    defineCommand({
      name: 'accounts',
      summary: 'List the accounts that are linked with you',
      examples: [
        ['sally chat accounts', 'yours'],
        ['sally chat accounts --all', "everybody's; for operators"],
      ],
      options: { all: { kind: 'switch', summary: "everybody's; for operators" } },
      run: async (context, input) => (await import('./chat-accounts.ts')).listAccounts(context, input.options.all),
    }),
    defineCommand({
      name: 'unlink',
      summary: 'Part an account from its user: it does nothing any more',
      examples: [['sally chat unlink cha_...', 'by whoever it is linked with, or an operator']],
      arguments: { id: { summary: 'id of the account, as "sally chat accounts" shows it' } },
      run: async (context, input) => (await import('./chat-accounts.ts')).unlinkAccount(context, input.arguments.id),
    }),
  ],
})
