import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const sessionCommands = defineGroup({
  name: 'sessions',
  summary: 'Proxied connections',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List them, newest first',
      examples: [['sallyctl sessions ls --live', 'those that are open now']],
      options: {
        socket,
        live: { kind: 'switch', summary: 'only open ones' },
        user: { kind: 'text', value: 'name', summary: 'only of this user' },
        node: { kind: 'text', value: 'name', summary: 'only on this node' },
      },
      run: async (context, input) => (await import('./sessions.ts')).listSessions(context, input.options),
    }),
    defineCommand({
      name: 'terminate',
      summary: 'Close one; its terminal says why',
      examples: [['sallyctl sessions terminate ses_... --message="maintenance"', 'takes effect within a second']],
      arguments: { id: { summary: 'id of the session' } },
      options: { socket, message: { kind: 'text', value: 'text', summary: 'why' } },
      run: async (context, input) =>
        (await import('./sessions.ts')).terminateSession(context, input.arguments.id, input.options.message),
    }),
  ],
})
