import { defineCommand, defineGroup } from '../../shared/define-command.ts'

const choice = {
  dbUser: { kind: 'text', value: 'user', summary: 'user of the database server; left out: the only one you may use' },
  dbName: { kind: 'text', value: 'name', summary: 'database inside the server; left out: the only one you may use' },
} as const
const database = { summary: 'name of the database; sally db ls tells it' } as const

const ls = defineCommand({
  name: 'ls',
  summary: 'List the databases that you may know of, and what opens them',
  examples: [
    ['sally db ls', 'all of them'],
    ['sally db ls env=prod', 'those with this label'],
  ],
  arguments: { labels: { summary: 'label=value', optional: true, many: true } },
  run: async (context, input) => (await import('./list-databases.ts')).listDatabases(context, input.arguments.labels),
})

const login = defineCommand({
  name: 'login',
  summary: 'Make stock clients know a database: a certificate, and a block in ~/.pg_service.conf or ~/.my.cnf',
  examples: [
    ['sally db login orders && psql service=orders', 'PostgreSQL: psql, pgcli, pg_dump and all that use libpq'],
    ['sally db login shop && mysql --defaults-group-suffix=_shop', 'MySQL and MariaDB'],
    ['sally db login orders --db-user=app --db-name=shop', 'where you may choose'],
  ],
  arguments: { database },
  options: choice,
  run: async (context, { arguments: { database: name }, options }) =>
    (await import('./login-database.ts')).loginDatabase(context, { database: name, ...options }),
})

const logout = defineCommand({
  name: 'logout',
  summary: 'Remove what sally db login wrote',
  examples: [
    ['sally db logout orders', 'its certificate and its block'],
    ['sally db logout', 'of all databases, and the key'],
  ],
  arguments: { database: { summary: 'name of the database; left out: all', optional: true } },
  run: async (context, input) =>
    (await import('./login-database.ts')).logoutDatabase(context, input.arguments.database),
})

const connect = defineCommand({
  name: 'connect',
  summary: 'The stock psql or mysql with your access; asks for what is missing',
  examples: [
    ['sally db connect orders', 'where you lack access, you are offered to ask for it'],
    ['sally db connect --db-user=app orders -c "select 1"', 'what follows the name is for psql'],
    ['sally db connect --request --reason="ticket #1234" orders', 'asks without questions, waits and connects'],
  ],
  arguments: { args: { summary: 'name of the database, then arguments of the client', many: true } },
  options: {
    ...choice,
    request: { kind: 'switch', summary: 'where access is missing: ask for it without questions, and wait' },
    reason: { kind: 'text', value: 'text', summary: 'why; with --request, or so as not to be asked' },
    duration: { kind: 'text', value: 'length', summary: 'for how long (default 1h, or what is allowed)' },
  },
  passThrough: true,
  run: async (context, { arguments: { args }, options: { dbUser, dbName, ...ask } }) => {
    const [name = '', ...rest] = args
    return (await import('./connect-database.ts')).connectDatabase(
      context,
      { database: name, dbUser, dbName },
      rest,
      ask,
    )
  },
})

const env = defineCommand({
  name: 'env',
  summary: 'Print variables for programs that read PGHOST, PGSSLCERT and the like',
  examples: [
    ['eval "$(sally db env orders)" && pg_dump >dump.sql', 'for this shell'],
    ['sally db env orders --format=json', 'for programs'],
  ],
  arguments: { database },
  options: choice,
  run: async (context, { arguments: { database: name }, options }) =>
    (await import('./connect-database.ts')).databaseEnvironment(context, { database: name, ...options }),
})

export const dbCommands = defineGroup({
  name: 'db',
  summary: 'Databases: PostgreSQL, MySQL and MariaDB with their stock clients',
  commands: [ls, login, logout, connect, env],
})

export const proxyCommands = defineGroup({
  name: 'proxy',
  summary: 'Local ports for programs that cannot show a certificate',
  commands: [
    defineCommand({
      name: 'db',
      summary: 'A port on 127.0.0.1 that leads to a database under your certificate, until Ctrl-C',
      examples: [
        ['sally proxy db orders --port=5433', 'then: psql -h 127.0.0.1 -p 5433 -U app shop'],
        ['sally proxy db shop --port=0', 'any free port; on Linux your own programs alone are let in'],
      ],
      arguments: { database },
      options: { port: { kind: 'text', value: 'port', summary: 'to listen on; 0 = any that is free', required: true } },
      run: async (context, input) =>
        (await import('./proxy-database.ts')).proxyDatabase(context, input.arguments.database, input.options.port),
    }),
  ],
})
