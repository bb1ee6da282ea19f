import { defineCommand } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const daemonCommands = [
  defineCommand({
    name: 'status',
    summary: "The daemon's own account of its state",
    examples: [['sallyctl status', 'version, store, sessions, keys at rest and what they do not protect']],
    options: { socket },
    run: async (context) => (await import('./show-status.ts')).showStatus(context),
  }),
  defineCommand({
    name: 'doctor',
    summary: 'Look for what commonly stands in the way',
    examples: [['sallyctl doctor', 'one line for each check, and what to do']],
    options: { socket },
    run: async (context) => (await import('./examine.ts')).examine(context),
  }),
]
