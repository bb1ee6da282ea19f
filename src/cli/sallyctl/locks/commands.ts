import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const lockCommands = defineGroup({
  name: 'lock',
  summary: 'Locks: stop a user, role, request, login, node or database at once',
  commands: [
    defineCommand({
      name: 'add',
      summary: 'Lock something; live sessions that it touches close within a second',
      examples: [
        ['sallyctl lock add --user=ada --message="laptop stolen" --ttl=2d', 'the message is shown to whoever it stops'],
        ['sallyctl lock add --node=db-box', 'nobody gets in'],
      ],
      options: {
        socket,
        user: { kind: 'text', value: 'name', summary: 'a user' },
        role: { kind: 'text', value: 'name', summary: 'a role' },
        request: { kind: 'text', value: 'id', summary: 'a request and its grant' },
        login: { kind: 'text', value: 'id', summary: 'a signed-in device' },
        node: { kind: 'text', value: 'name', summary: 'a node' },
        database: { kind: 'text', value: 'name', summary: 'a database' },
        message: { kind: 'text', value: 'text', summary: 'why' },
        ttl: { kind: 'text', value: 'length', summary: 'ends by itself after this (default: never)' },
      },
      run: async (context, input) => (await import('./locks.ts')).addLock(context, input.options),
    }),
    defineCommand({
      name: 'rm',
      summary: 'Remove a lock',
      examples: [['sallyctl lock rm lck_...', 'what it suspended goes on']],
      arguments: { id: { summary: 'id of the lock' } },
      options: { socket },
      run: async (context, input) => (await import('./locks.ts')).removeLock(context, input.arguments.id),
    }),
    defineCommand({
      name: 'ls',
      summary: 'List locks',
      examples: [['sallyctl lock ls', 'what, why, by whom, until when']],
      options: { socket },
      run: async (context) => (await import('./locks.ts')).listLocks(context),
    }),
  ],
})
