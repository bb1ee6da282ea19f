import { defineCommand } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

const target = {
  summary: 'KIND/NAME, such as role/dba; kinds: role, node, database, user, review_rule, integration, lock',
} as const

export const documentCommands = [
  defineCommand({
    name: 'create',
    summary: 'Make roles, nodes, databases, users, review rules and integrations from a YAML file',
    examples: [
      ['sallyctl create -f roles.yaml', 'every document in the file, in its order'],
      ['sallyctl create -f roles.yaml --replace', 'also those that exist already'],
      ['sallyctl get role/dba | sallyctl create -f - --replace', 'from standard input'],
    ],
    options: {
      socket,
      file: { kind: 'text', value: 'file', summary: 'YAML documents; - = standard input', short: 'f', required: true },
      replace: { kind: 'switch', summary: 'replace what exists under that name' },
    },
    run: async (context, input) => (await import('./create-documents.ts')).createDocuments(context, input.options),
  }),
  defineCommand({
    name: 'get',
    summary: 'Print roles, nodes, databases, users, review rules, integrations or locks as YAML that create takes',
    examples: [
      ['sallyctl get roles', 'all of a kind'],
      ['sallyctl get role/dba', 'one'],
    ],
    arguments: {
      target: { summary: 'KIND or KIND/NAME; kinds: role, node, database, user, review_rule, integration, lock' },
    },
    options: { socket },
    run: async (context, input) => (await import('./get-documents.ts')).getDocuments(context, input.arguments.target),
  }),
  defineCommand({
    name: 'rm',
    summary: 'Remove a role, node, database, user, review rule, integration or lock',
    examples: [['sallyctl rm role/dba', 'grants of it end, and live sessions that need it close']],
    arguments: { target },
    options: { socket },
    run: async (context, input) =>
      (await import('./remove-document.ts')).removeDocument(context, input.arguments.target),
  }),
  defineCommand({
    name: 'edit',
    summary: 'Change a role, node, database, user, review rule or integration in your editor (EDITOR)',
    examples: [['EDITOR=vim sallyctl edit role/dba', 'saved when you leave the editor']],
    arguments: { target },
    options: { socket },
    run: async (context, input) => (await import('./edit-document.ts')).editDocument(context, input.arguments.target),
  }),
]
