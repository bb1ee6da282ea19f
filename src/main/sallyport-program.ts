import { defineCommand, defineGroup } from '../cli/shared/define-command.ts'
import type { Program } from '../cli/shared/run-program.ts'

const config = {
  kind: 'text',
  value: 'file',
  summary: 'configuration in YAML',
  required: true,
  env: 'SALLYPORT_CONFIG',
} as const

const moveCommand = defineCommand({
  name: 'move',
  summary: 'Move the SQLite store of data_dir into an empty PostgreSQL database; no daemon may run',
  examples: [
    [
      'sallyport storage move --config=/etc/sallyport.yaml --to=postgres://sallyport@db.internal/sallyport',
      'all or nothing; the audit chain stays whole',
    ],
  ],
  options: {
    config,
    to: { kind: 'text', value: 'url', summary: 'postgres://USER@HOST:PORT/DATABASE', required: true },
  },
  run: async (context, { options }) =>
    (await import('./move-storage.ts')).moveStorage(options.config, options.to, context),
})

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
          config,
        },
        run: async (context, { options }) =>
          (await import('./run-daemon.ts')).runDaemon(options.config, entry, version, context),
      }),
      defineGroup({
        name: 'storage',
        summary: 'Where the store lies',
        commands: [moveCommand],
      }),
    ],
    closing: 'Then: sallyctl status, and docs/ for the rest.',
  }
}
