import type { NodeServer } from './node-server.ts'

/** The roles and nodes of the demo, as `sallyctl create -f` takes them. */
export function roles(login: string): readonly unknown[] {
  const role = (name: string, spec: unknown): unknown => ({ kind: 'role', version: 'v1', metadata: { name }, spec })
  return [
    role('engineer', {
      allow: {
        logins: [login],
        node_labels: { env: 'dev' },
        request: {
          roles: ['dba'],
          max_duration: '4h',
          reason: { mode: 'required', prompt: 'Ticket number and what you will do.' },
          thresholds: [{ name: 'two of the database team', approve: 2, deny: 1 }],
        },
      },
    }),
    role('dba', { allow: { logins: [login], node_labels: { service: 'database' } } }),
    role('dba-reviewer', { allow: { review_requests: { roles: ['dba'] } } }),
  ]
}

export const nodeDocument = (node: NodeServer, labels: Readonly<Record<string, string>>): unknown => ({
  kind: 'node',
  version: 'v1',
  metadata: { name: node.name, labels },
  spec: { address: `127.0.0.1:${node.port}`, host_key: node.hostKey },
})
