import type { Program } from '../shared/run-program.ts'
import { auditCommands } from './audit/commands.ts'
import { authorityCommands } from './authorities/commands.ts'
import { daemonCommands } from './daemon/commands.ts'
import { documentCommands } from './documents/commands.ts'
import { integrationCommands } from './integrations/commands.ts'
import { lockCommands } from './locks/commands.ts'
import { policyCommands } from './policies/commands.ts'
import { requestCommands } from './requests/commands.ts'
import { sessionCommands } from './sessions/commands.ts'
import { tokenCommands } from './tokens/commands.ts'
import { userCommands } from './users/commands.ts'

export const sallyctl: Program = {
  name: 'sallyctl',
  summary: 'Run Sallyport: accounts, roles, nodes, requests, locks, sessions and the audit log.',
  commands: [
    userCommands,
    tokenCommands,
    ...documentCommands,
    requestCommands,
    lockCommands,
    policyCommands,
    integrationCommands,
    sessionCommands,
    auditCommands,
    authorityCommands,
    ...daemonCommands,
  ],
  closing: [
    "On the daemon's own host no login is needed: the admin socket says who you are. Elsewhere: sally login.",
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 expired or cancelled, 5 not signed in, 6 not allowed,',
    '7 not found, 8 conflict, 9 altered (verify), 10 consistent but unanchored (verify).',
  ].join('\n'),
}
