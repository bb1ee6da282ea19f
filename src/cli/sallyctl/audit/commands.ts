import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

const search = defineCommand({
  name: 'search',
  summary: 'Find events',
  examples: [
    ['sallyctl audit search --since=2h --user=ada', 'what ada did in the last two hours'],
    ['sallyctl audit search --request=req_... --format=json', 'the whole story of one request'],
  ],
  options: {
    socket,
    since: { kind: 'text', value: 'when', summary: '2h (ago), 2026-11-22 or 2026-11-22T08:00Z' },
    until: { kind: 'text', value: 'when', summary: 'as --since' },
    user: { kind: 'text', value: 'name', summary: 'who did it' },
    type: { kind: 'text', value: 'type', summary: 'such as access_request.approve or grant.*' },
    request: { kind: 'text', value: 'id', summary: 'about this request' },
    session: { kind: 'text', value: 'id', summary: 'about this session' },
    resource: { kind: 'text', value: 'name', summary: 'about this resource' },
    text: { kind: 'text', value: 'words', summary: 'anywhere in the event' },
    limit: { kind: 'text', value: 'count', summary: 'the newest so many (default 100)' },
  },
  run: async (context, input) => (await import('./search-audit.ts')).searchAudit(context, input.options),
})

const verify = defineCommand({
  name: 'verify',
  summary: 'Check that no event, row or recording was changed, cut off or put back',
  examples: [
    ['sallyctl audit verify', 'asks the daemon'],
    [
      'sallyctl audit verify --database=sallyport.db --trust=checkpoint.pub --checkpoints=checkpoints',
      'without the daemon, with what you keep elsewhere',
    ],
  ],
  options: {
    socket,
    database: { kind: 'text', value: 'file', summary: 'check this file, or postgres:// URL, without a daemon' },
    trust: { kind: 'text', value: 'file', summary: 'public key of the checkpoints, kept outside' },
    checkpoints: { kind: 'text', value: 'file', summary: 'checkpoints, kept outside' },
    recordings: { kind: 'text', value: 'folder', summary: 'session files, to be checked as well' },
  },
  run: async (context, input) => (await import('./verify-audit.ts')).verifyAudit(context, input.options),
})

const acceptRollback = defineCommand({
  name: 'accept-rollback',
  summary: 'Go on with a database that is older than its last checkpoint, or was edited while no daemon ran',
  examples: [
    ['sallyctl audit accept-rollback --reason="restored the backup of Sunday"', 'ends all logins, grants and requests'],
  ],
  options: {
    socket,
    reason: { kind: 'text', value: 'text', summary: 'why; stays in the audit log', required: true },
    yes: { kind: 'switch', summary: 'do not ask' },
  },
  run: async (context, input) => (await import('./accept-rollback.ts')).acceptRollback(context, input.options),
})

export const auditCommands = defineGroup({
  name: 'audit',
  summary: 'The audit log',
  commands: [search, verify, acceptRollback],
})
