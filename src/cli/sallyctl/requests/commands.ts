import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { REQUEST_FILTERS } from '../../shared/request-filters.ts'
import { socket } from '../socket-option.ts'

const id = { summary: 'id (token) of the request' } as const
const reason = { kind: 'text', value: 'text', summary: 'why; the requester sees it' } as const
const start = {
  kind: 'text',
  value: 'when',
  summary: 'approve from a later time, such as +2h or 2026-11-23T09:00',
} as const
const duration = { kind: 'text', value: 'length', summary: 'approve for less time than was asked' } as const

export const requestCommands = defineGroup({
  name: 'request',
  summary: 'Access requests of everybody',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List them, newest first',
      examples: [
        ['sallyctl request ls --state=pending', 'those that wait for a decision'],
        ['sallyctl request ls --reviewer=bob --resource=node/db-box', 'what bob voted on for db-box'],
      ],
      options: {
        socket,
        ...REQUEST_FILTERS,
      },
      run: async (context, input) => (await import('./requests.ts')).listRequests(context, input.options),
    }),
    defineCommand({
      name: 'show',
      summary: 'Show one with its votes, what it would change and what it still needs',
      examples: [['sallyctl request show req_...', 'all that a reviewer must see']],
      arguments: { id },
      options: { socket },
      run: async (context, input) => (await import('./requests.ts')).showRequest(context, input.arguments.id),
    }),
    defineCommand({
      name: 'approve',
      summary: 'Vote for it as the account that is signed in here',
      examples: [
        ['sallyctl request approve req_... --reason="looks right"', 'the same as sally request review --approve'],
      ],
      arguments: { id },
      options: { reason, duration, start },
      run: async (context, input) =>
        (await import('./requests.ts')).vote(context, 'approve', input.arguments.id, input.options),
    }),
    defineCommand({
      name: 'deny',
      summary: 'Vote against it as the account that is signed in here',
      examples: [
        ['sallyctl request deny req_... --reason="not on a Friday"', 'the same as sally request review --deny'],
      ],
      arguments: { id },
      options: { reason },
      run: async (context, input) =>
        (await import('./requests.ts')).vote(context, 'deny', input.arguments.id, {
          ...input.options,
          duration: undefined,
          start: undefined,
        }),
    }),
    defineCommand({
      name: 'revoke',
      aliases: ['rm'],
      summary: 'End the access that it gave; live sessions close within a second',
      examples: [['sallyctl request revoke req_... --reason="incident over"', 'open shells say why they close']],
      arguments: { id },
      options: { socket, reason },
      run: async (context, input) =>
        (await import('./requests.ts')).revoke(context, input.arguments.id, input.options.reason),
    }),
  ],
})
