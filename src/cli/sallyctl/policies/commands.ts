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
  ],
})
