import { defineCommand, defineGroup } from '../../shared/define-command.ts'

export const delegationCommands = defineGroup({
  name: 'delegation',
  summary: 'Let somebody vote for you while you are away',
  commands: [
    defineCommand({
      name: 'add',
      summary: 'Name somebody who votes for you; their vote counts as yours, and never on requests of yours or theirs',
      examples: [
        ['sally delegation add --to=carol --until=2026-12-27 --reason=holiday', 'for all that you may review'],
        ['sally delegation add --to=carol --until=3d --roles=dba', 'for requests for one role, for three days'],
      ],
      options: {
        to: { kind: 'text', value: 'user', summary: 'who votes for you', required: true },
        until: {
          kind: 'text',
          value: 'time',
          summary: 'when it ends: 2026-12-27, 2026-12-27T18:00Z, or a length from now such as 3d',
          required: true,
        },
        roles: { kind: 'list', value: 'a,b', summary: 'only requests for these roles (default: all you may review)' },
        reason: { kind: 'text', value: 'text', summary: 'why; the one you name sees it' },
      },
      run: async (context, input) => (await import('./delegations.ts')).addDelegation(context, input.options),
    }),
    defineCommand({
      name: 'ls',
      summary: 'List those in force: who votes for you, and for whom you vote',
      examples: [['sally delegation ls', 'who, for whom, until when']],
      options: { all: { kind: 'switch', summary: "everybody's; for operators" } },
      run: async (context, input) => (await import('./delegations.ts')).listDelegations(context, input.options.all),
    }),
    defineCommand({
      name: 'rm',
      summary: 'End one before its time; undecided votes cast under it do not count any more',
      examples: [['sally delegation rm dlg_...', 'by either of the two, or an operator']],
      arguments: { id: { summary: 'id of the delegation' } },
      run: async (context, input) => (await import('./delegations.ts')).removeDelegation(context, input.arguments.id),
    }),
  ],
})
