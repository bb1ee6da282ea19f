import { defineCommand } from '../cli/shared/define-command.ts'
import type { Program } from '../cli/shared/run-program.ts'

export function sallyport(entry: string, version: string): Program {
  return {
    name: 'sallyport',
    summary: 'The access proxy: one port for SSH and HTTPS, requests and approvals, recordings, audit.',
    commands: [
      defineCommand({
        name: 'start',
        summary: 'Start the daemon; SIGTERM or Ctrl-C stops it',
        examples: [['sallyport start --config=/etc/sallyport.yaml', 'see docs/configuration.md for the keys']],
        options: {
          config: {
            kind: 'text',
            value: 'file',
            summary: 'configuration in YAML',
            required: true,
            env: 'SALLYPORT_CONFIG',
          },
        },
        run: async (context, { options }) =>
          (await import('./run-daemon.ts')).runDaemon(options.config, entry, version, context),
      }),
    ],
    closing: 'Then: sallyctl status, and docs/ for the rest.',
  }
}
