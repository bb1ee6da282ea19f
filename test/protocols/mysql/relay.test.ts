import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MysqlLab, PASSWORD } from '../../support/mysql-lab.ts'
import { needProgram } from '../../support/need-program.ts'
import { run, start, type Finished } from '../../support/run.ts'
import { SilentServer } from '../../support/silent-server.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import { until } from '../../support/until.ts'

let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start()
  await lab.server.sql(`
    install soname 'auth_ed25519';
    create user eddie@'%' identified via ed25519 using password('long ${PASSWORD}');
    grant all on shop.* to eddie@'%';
    create table shop.things (id int primary key, name varchar(50), at datetime(6), data longblob);
    insert into shop.things values (1, 'bread', '2026-01-02 03:04:05.000006', x'00ff'), (2, 'käse', null, null);`)
  lab.control.passwords.set('eddie', `long ${PASSWORD}`)
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

const ended = async (): Promise<string | undefined> => {
  await until('the end of the session is stored', () => lab.control.ends.has(lab.facts.sessionId))
  return lab.control.ends.get(lab.facts.sessionId)?.reason
}

describe('stock clients', () => {
  test('the command line client reads a row, and its sign-in is told to the control side', async () => {
    const { code, stdout, stderr } = await lab.mysql(['-N', '-e', "select 'hello', current_user()", 'shop'])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'hello\tapp@%\n', stderr: '' })
    expect(lab.control.asked.at(-1)).toMatchObject({
      protocol: 'mysql',
      database: 'orders',
      dbUser: 'app',
      dbName: 'shop',
    })
    expect(await ended()).toBe('client_left')
  })

  test('an error of the server is the error of the client, and the session goes on', async () => {
    const { stdout, stderr } = await lab.mysql(['-N', '-f', 'shop'], { input: 'select * from nothing;\nselect 2;\n' })
    expect(stderr).toContain("ERROR 1146 (42S02) at line 1: Table 'shop.nothing' doesn't exist")
    expect(stdout).toBe('2\n')
  })

  test('a user name may name the database, and the server is shown the db user alone', async () => {
    const { stdout } = await lab.mysql(['-N', '-e', 'select current_user()'], { user: 'app+billing' })
    expect(stdout).toBe('app@%\n')
    expect(lab.control.asked.at(-1)).toMatchObject({ database: 'billing', dbUser: 'app', dbName: null })
  })

  test('^C stops the statement at the server, not only at the client', async () => {
    const options = await lab.clientOptions()
    const client = start(needProgram('mariadb'), [
      '--no-defaults',
      ...options,
      '-uapp',
      '-e',
      'select sleep(50)',
      'shop',
    ])
    await until('the statement runs', async () => (await lab.server.running('app')).length === 1)
    client.child.kill('SIGINT')
    await until('it does not run any more', async () => (await lab.server.running('app')).length === 0)
    const { stdout, stderr } = await client.finished
    expect(stdout + stderr).toMatch(/Ctrl-C -- query killed|Query execution was interrupted/)
  })

  test('mysqldump through the proxy gives what it gives without', async () => {
    const args = ['--skip-comments', '--skip-dump-date', '--hex-blob', 'shop']
    const through = await run(needProgram('mariadb-dump'), [
      '--no-defaults',
      ...(await lab.clientOptions()),
      '-uapp',
      ...args,
    ])
    const direct = await run(needProgram('mariadb-dump'), [
      ...['--no-defaults', '-h127.0.0.1', `-P${String(lab.server.port)}`, '-uapp', `-p${PASSWORD}`, ...args],
    ])
    expect(through).toMatchObject({ code: 0, stderr: '' })
    expect(through.stdout).toBe(direct.stdout)
    expect(through.stdout).toContain('käse')
  })

  test('sysbench with prepared statements on several connections at once', async () => {
    const { keyPem, certificatePem } = await lab.certificate()
    writeFileSync(join(lab.folder, 'client-key.pem'), keyPem)
    writeFileSync(join(lab.folder, 'client-cert.pem'), certificatePem)
    writeFileSync(join(lab.folder, 'cacert.pem'), lab.proxyAuthority.certificatePem)
    const sysbench = (...args: string[]): Promise<Finished> =>
      run(
        needProgram('sysbench'),
        [
          ...[
            'oltp_read_write',
            '--mysql-host=127.0.0.1',
            `--mysql-port=${String(lab.port)}`,
            '--mysql-user=app',
            '--mysql-ssl=on',
          ],
          ...['--mysql-db=shop', '--tables=1', '--table-size=500', '--threads=4', '--events=100', '--time=60', ...args],
        ],
        { cwd: lab.folder, timeout: 90_000 },
      )
    expect(await sysbench('prepare')).toMatchObject({ code: 0 })
    const finished = await sysbench('run')
    expect(finished.stdout + finished.stderr).toMatch(/transactions:\s+100 /)
    expect(finished.stdout).toMatch(/ignored errors:\s+\d+ /)
  })

  test('packets of 16 MB and more, in statements and in rows', async () => {
    const long = 'x'.repeat(17_000_000)
    const { stdout, stderr } = await lab.mysql(['-N', '--max-allowed-packet=64M', 'shop'], {
      input: `insert into things values (3, 'long', null, '${long}'); select length(data) from things where id = 3; select data from things where id = 3; delete from things where id = 3;`,
    })
    expect(stderr).toBe('')
    expect(stdout.length).toBe('17000000\n'.length + 17_000_001)
    const records = await lab.recorded()
    const inserted = records.find((record) => record.kind === 'statement' && (record.text?.length ?? 0) > 17_000_000)
    expect(inserted).toMatchObject({ text: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } })
  })
})

describe('to the server', () => {
  test.each([
    ['a stored password with mysql_native_password', 'app', 'password'],
    ["a stored password with MariaDB's ed25519", 'eddie', 'password'],
    ['a certificate made for this connection', 'bycert', 'certificate'],
  ] as const)('%s', async (_name, user, credential) => {
    lab.control.change = { credential }
    const { stdout, stderr } = await lab.mysql(['-N', '-e', "select current_user(), @@ssl_cipher <> '' or 1"], { user })
    lab.control.change = {}
    expect({ stdout, stderr }).toEqual({ stdout: `${user}@%\t1\n`, stderr: '' })
  })

  test.each([
    ['a certificate for another name', { serverName: 'elsewhere.test' }, /altnames|does not match/],
    ['a certificate of an authority that nobody named', { authorities: null }, /self-signed|unable to (get|verify)/],
  ])('%s is not spoken to', async (_name, change, why) => {
    lab.control.change = {
      tls: {
        mode: 'verify-full',
        authorities: lab.server.authority.certificatePem,
        serverName: 'localhost',
        ...change,
      },
    }
    const { code, stderr } = await lab.mysql(['-e', 'select 1'])
    lab.control.change = {}
    expect(code).toBe(1)
    expect(stderr).toMatch(/ERROR 1105 \(HY000\): sallyport: TLS with the server failed/)
    expect(stderr).toMatch(why)
    expect(await ended()).toBe('target_tls_failed')
  })

  test('a wrong password is said so, with the number that the server gave', async () => {
    lab.control.passwords.set('app', 'wrong')
    const { stderr } = await lab.mysql(['-e', 'select 1'])
    lab.control.passwords.set('app', PASSWORD)
    expect(stderr).toMatch(
      /^ERROR 1045 \(28000\): sallyport: the server refuses the sign-in: Access denied for user 'app'/,
    )
    expect(stderr).not.toContain('wrong')
  })
})

describe('who is not let in', () => {
  test('nobody without TLS, and the client says what to do', async () => {
    const { code, stderr } = await run(needProgram('mariadb'), [
      '--no-defaults',
      '-h127.0.0.1',
      `-P${String(lab.port)}`,
      '--skip-ssl',
      '-uapp',
      '-e',
      'select 1',
    ])
    expect(code).toBe(1)
    expect(stderr).toContain(
      'ERROR 3159 (HY000): sallyport: TLS with a client certificate is required: run sally db login',
    )
  })

  test('nobody without a certificate', async () => {
    const { stderr } = await run(needProgram('mariadb'), [
      '--no-defaults',
      '-h127.0.0.1',
      `-P${String(lab.port)}`,
      '--ssl',
      '-uapp',
      '-psecret',
      '-e',
      'select 1',
    ])
    expect(stderr).toContain('ERROR 1045 (28000): sallyport: a client certificate is required. Run: sally db login')
  })

  test.each([
    ['an expired certificate', () => lab.certificate({ until: Date.now() - 1000 }), 'has expired'],
    [
      'a certificate of another authority',
      async () =>
        (await TestAuthority.make('others')).user('inst_test', {
          ...NAMES,
          now: Date.now(),
          until: Date.now() + 60_000,
        }),
      'is not one of this proxy',
    ],
    [
      'a certificate of another installation',
      () => lab.userAuthority.user('inst_other', { ...NAMES, now: Date.now(), until: Date.now() + 60_000 }),
      'is not one of this proxy',
    ],
  ])('nobody with %s', async (_name, make, why) => {
    const before = lab.control.asked.length
    const { code, stderr } = await lab.mysql(['-e', 'select 1'], { as: await make() })
    expect(code).toBe(1)
    expect(stderr).toContain(`ERROR 1045 (28000): sallyport: this client certificate ${why}`)
    expect(lab.control.asked.length).toBe(before)
    expect(lab.control.authFailures.at(-1)?.code).toMatch(/^certificate_/)
  })

  test('nobody whom the control side refuses: nothing is opened at the server', async () => {
    lab.control.refusal = { ok: false, code: 'access_denied', lines: ['sallyport: no', '  ask for it'] }
    const { stderr } = await lab.mysql(['-e', 'select 1'])
    lab.control.refusal = null
    expect(stderr).toBe('ERROR 1045 (28000): sallyport: no\n  ask for it\n')
  })

  test('nobody whose role asks for what MySQL cannot keep', async () => {
    lab.control.change = { options: { ...lab.facts.options, readOnly: true } }
    const { stderr } = await lab.mysql(['-e', 'select 1'])
    lab.control.change = {}
    expect(stderr).toContain('sallyport: your access is read-only, and MySQL has no means to keep a session so')
  })
})

const NAMES = { userId: 'usr_x', userName: 'alice', loginId: 'lgn_x', database: 'orders' }

const WAITS = 'select name from things where id = 1 for update'

/** The row that WAITS waits for. */
async function holdRow(): Promise<AsyncDisposable & { isHeld(): boolean }> {
  const client = start(needProgram('mariadb'), [
    ...['--no-defaults', '-h127.0.0.1', `-P${String(lab.server.port)}`, '-uapp', `-p${PASSWORD}`, '-n', 'shop'],
  ])
  client.write("begin;\nselect concat('ha', 've') from things where id = 1 for update;\n")
  await client.prints(/have/)
  return {
    isHeld: () => client.child.exitCode === null,
    [Symbol.asyncDispose]: async () => {
      client.end('rollback;\n')
      await client.finished
    },
  }
}

/** Without the one that holds the row */
const threadsBesides = async (user: string, held: number): Promise<number> =>
  (await lab.server.threads(user)).length - held

describe('the end', () => {
  test.each([
    ['a stored password', 'app', 'password'],
    ['a certificate that was good for a minute', 'bycert', 'certificate'],
  ] as const)(
    'while a statement runs, signed in by %s: the client has the reason and no thread remains',
    async (_name, user, credential) => {
      // Of a wait for a row the server does not look whether its client is still there, as it does of SLEEP.
      await using holder = await holdRow()
      lab.control.change = { credential }
      const running = lab.mysql(['-e', WAITS, 'shop'], { user })
      await until('the statement waits', async () => (await lab.server.running(user)).includes(WAITS))
      lab.control.change = {}
      lab.control.notify({
        kind: 'end',
        text: 'your access was revoked by bob',
        endText: '',
        endsAt: null,
        budgetMs: null,
      })
      const { stderr } = await running
      expect(holder.isHeld()).toBe(true)
      expect(stderr).toContain('ERROR 1927 (70100) at line 1: sallyport: your access was revoked by bob')
      await until('no thread remains', async () => (await threadsBesides(user, user === 'app' ? 1 : 0)) === 0)
      expect(await ended()).toBe('ended')
    },
  )

  test('a client that leaves while the server says nothing is gone at once, and so is the connection to the server', async () => {
    await using silent = await SilentServer.start()
    lab.control.change = { database: { ...lab.facts.database, port: silent.port } }
    const options = await lab.clientOptions()
    const client = start(needProgram('mariadb'), ['--no-defaults', ...options, '-uapp', '-e', 'select 1'])
    await until('the server is connected to', () => silent.connections.size === 1)
    lab.control.change = {}
    client.child.kill('SIGKILL')
    expect(await ended()).toBe('client_left')
    await until('the server is left', () => silent.connections.size === 0)
    await until('nobody is connected any more', () => lab.relay.connections === 0)
  })

  test('in the middle of a long result, and when the client has just gone: no thread remains', async () => {
    const options = await lab.clientOptions()
    const client = start(needProgram('mariadb'), [
      '--no-defaults',
      ...options,
      '-uapp',
      '-q',
      '-e',
      "select repeat('x', 1000) from seq_1_to_10000000",
      'shop',
    ])
    await until('rows come', () => client.stdout().length > 100_000)
    client.child.kill('SIGKILL')
    await until('no thread remains', async () => (await lab.server.threads('app')).length === 0)
    expect(await ended()).toBe('client_left')
  })

  test('a statement that takes longer than the role permits ends the session', async () => {
    await using _ = await holdRow()
    lab.control.change = { options: { ...lab.facts.options, readOnly: false, statementTimeoutMs: 300 } }
    const { stderr } = await lab.mysql(['-e', WAITS, 'shop'])
    lab.control.change = {}
    expect(stderr).toContain('sallyport: Session ended: a statement took longer than your role permits')
    await until('no thread remains', async () => (await threadsBesides('app', 1)) === 0)
  })
})

describe('what is refused inside a session', () => {
  test('LOAD DATA LOCAL', async () => {
    writeFileSync(join(lab.folder, 'secret.txt'), 'secret\n')
    const { code, stderr } = await lab.mysql([
      '--local-infile=1',
      '-e',
      `load data local infile '${join(lab.folder, 'secret.txt')}' into table things (name)`,
      'shop',
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/ERROR (4166|1148|2068)/)
  })
})

test('what was asked and what came of it stand in the recording', async () => {
  await lab.mysql(['-N', '-f', 'shop'], { input: 'select * from things;\nselect nonsense from things;\n' })
  await ended()
  const records = await lab.recorded()
  const asked = records.flatMap((record) =>
    record.kind === 'statement' && record.text ? [Buffer.from(record.text.bytes).toString()] : [],
  )
  expect(asked).toEqual(expect.arrayContaining(['select * from things', 'select nonsense from things']))
  const results = records.flatMap((record) =>
    record.kind === 'result' ? [[record.outcome, record.rows, record.code]] : [],
  )
  expect(results).toEqual(
    expect.arrayContaining([
      ['ok', 2, ''],
      ['error', null, '1054 42S22'],
    ]),
  )
})
