import { defineCommand, defineGroup } from '../shared/define-command.ts'
import type { Program } from '../shared/run-program.ts'
import { chatCommands } from './chat/commands.ts'
import { dbCommands, proxyCommands } from './db/commands.ts'
import { delegationCommands } from './delegation/commands.ts'
import { login, logins, logout, status } from './login/commands.ts'
import { mfaCommands } from './mfa/commands.ts'
import { requestCommands } from './request/commands.ts'

const ls = defineCommand({
  name: 'ls',
  summary: 'List the servers that you may know of, and what opens them',
  examples: [
    ['sally ls', 'all of them'],
    ['sally ls env=prod', 'those with this label'],
  ],
  arguments: { labels: { summary: 'label=value', optional: true, many: true } },
  run: async (context, input) => (await import('./nodes/list-nodes.ts')).listNodes(context, input.arguments.labels),
})

const config = defineCommand({
  name: 'config',
  summary: 'Print the OpenSSH configuration that makes plain ssh, scp, sftp, rsync and git work',
  examples: [
    ['sally config --install', 'one Include line on top of ~/.ssh/config'],
    ['sally config >ssh_config && ssh -F ssh_config db-box', 'without touching ~/.ssh/config'],
  ],
  options: {
    install: { kind: 'switch', summary: 'include it in ~/.ssh/config, which is kept as config.before-sally' },
  },
  run: async (context, input) => (await import('./config/print-config.ts')).printConfig(context, input.options.install),
})

const askOptions = {
  request: { kind: 'switch', summary: 'where access is missing: ask for it without questions, and wait' },
  reason: { kind: 'text', value: 'text', summary: 'why; with --request, or so as not to be asked' },
  duration: { kind: 'text', value: 'length', summary: 'for how long (default 1h, or what is allowed)' },
} as const

const ssh = defineCommand({
  name: 'ssh',
  summary: 'The stock ssh with your access, without changing ~/.ssh/config; asks for what is missing',
  examples: [
    ['sally ssh db-box', 'a shell with your default login; where you lack access, you are offered to ask for it'],
    ['sally ssh root@db-box uptime', 'one command as root'],
    ['sally ssh --request --reason="ticket #1234" db-box uptime', 'asks without questions, waits and runs it'],
  ],
  options: askOptions,
  arguments: { args: { summary: '[options] [user@]node [command]', many: true } },
  passThrough: true,
  run: async (context, input) =>
    (await import('./connect/run-openssh.ts')).runOpenssh(context, 'ssh', input.arguments.args, input.options),
})

const scp = defineCommand({
  name: 'scp',
  summary: 'The stock scp with your access; asks for what is missing',
  examples: [['sally scp dump.sql db-box:/tmp/', 'to the server']],
  options: askOptions,
  arguments: { args: { summary: '[options] from... to', many: true } },
  passThrough: true,
  run: async (context, input) =>
    (await import('./connect/run-openssh.ts')).runOpenssh(context, 'scp', input.arguments.args, input.options),
})

const play = defineCommand({
  name: 'play',
  summary: 'Replay a recorded session',
  examples: [
    ['sally play ses_... --speed=2', 'twice as fast; pauses are cut short'],
    ['sally play ses_... --format=asciicast >shell.cast', 'for asciinema'],
  ],
  arguments: { session: { summary: 'id of the session; sally recordings ls tells it' } },
  options: {
    speed: { kind: 'text', value: 'factor', summary: 'how many times as fast (default 1)' },
    skipIdle: { kind: 'switch', summary: 'cut pauses short (the default)' },
    maxIdle: { kind: 'text', value: 'length', summary: 'pauses take at most this (default 1s)' },
    realTime: { kind: 'switch', summary: 'pauses as long as they were' },
    format: { kind: 'choice', choices: ['text', 'json', 'asciicast'], summary: 'film, JSON lines or asciicast v2' },
  },
  run: async (context, input) =>
    (await import('./recordings/play-recording.ts')).playRecording(context, input.arguments.session, input.options),
})

const recordings = defineGroup({
  name: 'recordings',
  summary: 'Recorded sessions',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List them',
      examples: [['sally recordings ls --node=db-box', 'what was done there']],
      options: {
        user: { kind: 'text', value: 'name', summary: 'only sessions of this user' },
        node: { kind: 'text', value: 'name', summary: 'only sessions on this node' },
      },
      run: async (context, input) =>
        (await import('./recordings/list-recordings.ts')).listRecordings(context, input.options),
    }),
    defineCommand({
      name: 'search',
      summary: 'Find a text, such as the name of a table, in what recordings hold',
      examples: [
        ['sally recordings search customers', 'who touched that table'],
        ['sally recordings search customers --on=orders --user=alice', 'in one database, by one person'],
      ],
      arguments: { text: { summary: '2 to 200 characters; case does not matter' } },
      options: {
        user: { kind: 'text', value: 'name', summary: 'only sessions of this user' },
        on: { kind: 'text', value: 'name', summary: 'only sessions with this database or node' },
        limit: { kind: 'text', value: 'count', summary: 'at most so many sessions (default 100)' },
      },
      run: async (context, input) =>
        (await import('./recordings/search-recordings.ts')).searchRecordings(
          context,
          input.arguments.text,
          input.options,
        ),
    }),
  ],
})

export const sally: Program = {
  name: 'sally',
  summary: 'Ask for access, review what others ask for, connect with your usual programs.',
  commands: [
    login,
    status,
    logout,
    logins,
    ls,
    requestCommands,
    delegationCommands,
    chatCommands,
    ssh,
    scp,
    config,
    dbCommands,
    proxyCommands,
    recordings,
    play,
    mfaCommands,
  ],
  closing: [
    'A command without questions: --format=json, SALLY_PASSWORD, SALLY_CODE, SALLY_NONINTERACTIVE=1.',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 expired or cancelled, 5 not signed in, 6 not allowed,',
    '7 not found, 8 conflict.',
  ].join('\n'),
}
