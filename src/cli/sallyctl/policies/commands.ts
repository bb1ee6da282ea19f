import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const policyCommands = defineGroup({
  name: 'policy',
  summary: 'Policies: approval logic as code, in the folder that the configuration names',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List the policies in force',
      examples: [['sallyctl policy ls', 'file, content, what it may do, since when']],
      options: { socket },
      run: async (context) => (await import('./policies.ts')).listPolicies(context),
    }),
    defineCommand({
      name: 'reload',
      summary: 'Read the folder anew; when a file cannot be used, the old ones stay',
      examples: [['sallyctl policy reload', 'earlier approvals of waiting requests stop counting']],
      options: { socket },
      run: async (context) => (await import('./policies.ts')).reloadPolicies(context),
    }),
    defineCommand({
      name: 'check',
      summary: 'Look at a folder of policies, and run the cases beside them',
      examples: [['sallyctl policy check policy/', 'freeze.ts with the cases of freeze.cases.yaml; needs no daemon']],
      arguments: { folder: { summary: 'folder of policy files' } },
      run: async (context, input) =>
        (await import('./check-policies.ts')).checkPolicies(context, input.arguments.folder),
    }),
    defineCommand({
      name: 'test',
      summary: 'Ask policies about past requests, and print what they would say otherwise',
      examples: [
        [
          'sallyctl policy test --since=90d --policy=policy/',
          'a changed folder, before it is put in force; exits 8 when something differs',
        ],
        ['sallyctl policy test --since=7d', 'the policies in force'],
      ],
      options: {
        socket,
        since: { kind: 'text', value: 'length', summary: 'how far back (90d), or a day', required: true },
        policy: { kind: 'text', value: 'folder', summary: 'folder of policy files; left out: those in force' },
      },
      run: async (context, input) => (await import('./replay-past.ts')).replayPast(context, input.options),
    }),
  ],
})
