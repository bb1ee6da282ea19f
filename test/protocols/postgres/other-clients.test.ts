// Clients that are not of PostgreSQL's own: JDBC, as programs in Java have it, and pgcli, which people type into.
import { createPrivateKey } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needProgram } from '../../support/need-program.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { run } from '../../support/run.ts'
import { until } from '../../support/until.ts'

let lab: PostgresLab

beforeAll(async () => {
  lab = await PostgresLab.start()
  await lab.server.query('shop', 'create table items (id int primary key, what text); grant all on items to app')
})
afterAll(() => lab?.[Symbol.asyncDispose]())

/** Java by way of a script, which needs no compiler */
const JDBC = `
function say(what, value) { print(what + ' ' + value) }
function attempt(what, work) {
  try { work() } catch (error) { say(what, error.javaException.getSQLState()) }
}
var props = new java.util.Properties()
var given = { user: 'app', sslmode: 'verify-full', sslkey: arguments[1], sslcert: arguments[2], sslrootcert: arguments[3] }
for (var name in given) props.setProperty(name, given[name])
var db = new Packages.org.postgresql.Driver().connect(arguments[0], props)
say('connected', db.getMetaData().getDatabaseProductName())

// From the fifth run on the driver prepares it on the server.
var insert = db.prepareStatement('insert into items values (?, ?)')
for (var id = 0; id < 20; id++) {
  insert.setInt(1, id)
  insert.setString(2, 'zw\\u00f6lf ' + id)
  insert.executeUpdate()
}
for (var id = 20; id < 220; id++) {
  insert.setInt(1, id)
  insert.setString(2, id === 100 ? null : 'batch')
  insert.addBatch()
}
say('batch', insert.executeBatch().length)
attempt('error', function () {
  insert.setInt(1, 7)
  insert.setString(2, 'twice')
  insert.executeUpdate()
})

db.setAutoCommit(false)
var cursor = db.createStatement()
cursor.setFetchSize(50)
var rows = 0
var found = cursor.executeQuery('select * from items order by id')
while (found.next()) rows++
say('cursor', rows)
var objects = db.getLargeObjectAPI()
var oid = objects.createLO()
var object = objects.open(oid)
object.write(java.lang.reflect.Array.newInstance(java.lang.Byte.TYPE, 300000))
object.seek(0)
say('object', object.read(400000).length)
object.close()
db.commit()
db.setAutoCommit(true)

var copy = db.getCopyAPI()
say('copy in', copy.copyIn('copy items from stdin', new java.io.StringReader('1000\\tone\\n1001\\ttwo\\n')))
say('copy out', copy.copyOut('copy items to stdout', new java.io.StringWriter()))
attempt('copy error', function () {
  copy.copyIn('copy items from stdin', new java.io.StringReader('wrong\\n'))
})

var listener = db.createStatement()
listener.execute('listen news')
listener.execute("notify news, 'fresh'")
say('heard', db.getNotifications(2000)[0].getParameter())

var slow = db.createStatement()
slow.setQueryTimeout(1)
attempt('cancelled', function () {
  slow.execute('select pg_sleep(600)')
})
say('goes on', slow.execute('select 1'))
db.close()
`

test('JDBC: prepared statements, batches, cursors, large objects, COPY, notifications, and a cancel that stops the statement', async () => {
  const driver = '/usr/share/java/postgresql.jar'
  if (!existsSync(driver)) throw new Error('the JDBC driver is missing: apt-get install libpostgresql-jdbc-java')
  needProgram('rhino')
  const { keyPem, certificatePem } = await lab.certificate()
  const file = (name: string, bytes: string | Uint8Array): string => {
    const path = join(lab.folder, name)
    writeFileSync(path, bytes, { mode: 0o600 })
    return path
  }
  const key = file('key.pk8', createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' }))
  const url = `jdbc:postgresql://localhost:${String(lab.port)}/shop`
  const java = await run(
    needProgram('java'),
    [
      ...[
        '-XX:TieredStopAtLevel=1',
        '-cp',
        `/usr/share/java/rhino.jar:${driver}`,
        'org.mozilla.javascript.tools.shell.Main',
      ],
      ...[file('client.js', JDBC), url, key, file('cert.pem', certificatePem), lab.proxyCa],
    ],
    { timeout: 100_000 },
  )
  expect(java.stderr).toBe('')
  expect(java.stdout.trim().split('\n')).toEqual([
    ...['connected PostgreSQL', 'batch 200', 'error 23505', 'cursor 220', 'object 300000', 'copy in 2', 'copy out 222'],
    ...['copy error 22P02', 'heard fresh', 'cancelled 57014', 'goes on true'],
  ])
  await until('the end', () => lab.control.ends.has(lab.facts.sessionId))
  const records = await lab.recorded()
  const statements = new Set(
    records.flatMap((each) => (each.kind === 'statement' && each.command !== 'prepare' ? [each.number] : [])),
  )
  const outcomes = records.flatMap((each) => (each.kind === 'result' ? [each.number] : []))
  expect([...statements].filter((number) => !outcomes.includes(number))).toEqual([])
})

test('pgcli: what is typed is answered, and so is what cannot be', async () => {
  const home = join(lab.folder, 'home')
  mkdirSync(home, { recursive: true })
  const done = await lab.client('pgcli', ['--less-chatty'], {
    input: "select 6 * 7 as answer;\nselect 'zwölf' as word, 1 / 0;\n\\q\n",
    env: { HOME: home, PAGER: 'cat', LC_ALL: 'C.UTF-8' },
  })
  expect(done.stdout, done.stderr).toContain('| 42 ')
  expect(done.stdout + done.stderr).toContain('division by zero')
})
