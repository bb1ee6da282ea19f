import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

const name = { summary: 'name of the user' } as const

export const userCommands = defineGroup({
  name: 'users',
  summary: 'Accounts',
  commands: [
    defineCommand({
      name: 'add',
      summary: 'Make an account and print its one-time invitation',
      examples: [['sallyctl users add ada --roles=engineer --trait team=dba', 'send ada the command that it prints']],
      arguments: { name },
      options: {
        socket,
        roles: { kind: 'list', value: 'a,b', summary: 'own roles' },
        email: { kind: 'text', value: 'address', summary: 'mail address' },
        trait: { kind: 'list', value: 'name=value', summary: 'traits; the same name again adds a value' },
      },
      run: async (context, input) => (await import('./users.ts')).addUser(context, input.arguments.name, input.options),
    }),
    defineCommand({
      name: 'ls',
      summary: 'List accounts',
      examples: [['sallyctl users ls', 'roles, traits, second factor']],
      options: { socket },
      run: async (context) => (await import('./users.ts')).listUsers(context),
    }),
    defineCommand({
      name: 'rm',
      summary: 'Remove an account; its grants end and live sessions close',
      examples: [['sallyctl users rm ada', 'the name, used again later, revives nothing']],
      arguments: { name },
      options: { socket },
      run: async (context, input) => (await import('./users.ts')).removeUser(context, input.arguments.name),
    }),
    defineCommand({
      name: 'reset',
      summary: 'Reset password and factors, and print a new invitation',
      examples: [['sallyctl users reset ada', 'votes of ada do not count for 24 h']],
      arguments: { name },
      options: { socket },
      run: async (context, input) => (await import('./users.ts')).resetUser(context, input.arguments.name),
    }),
    defineCommand({
      name: 'end-logins',
      summary: 'Sign out all devices of an account (lost laptop)',
      examples: [['sallyctl users end-logins ada', 'certificates die and live sessions close within a second']],
      arguments: { name },
      options: { socket },
      run: async (context, input) => (await import('./users.ts')).endLogins(context, input.arguments.name),
    }),
  ],
})
